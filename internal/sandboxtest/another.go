package sandboxtest

import "errors"

// Another starts one more control plane, for a test that needs several
// clusters. Stop or Kill must be called. args are those of `sandbox up`.
func Another(args ...string) (*Sandbox, error) { return start(args...) }

// Stop ends a control plane that Another started, if it still runs.
func (s *Sandbox) Stop() error {
	if s.cmd.ProcessState != nil {
		return nil // killed
	}
	return s.stop()
}

// Kill ends a control plane as a power cut would: nobody is told.
func (s *Sandbox) Kill() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	if err := s.cmd.Wait(); err == nil {
		return errors.New("it ended by itself")
	}
	return nil
}
