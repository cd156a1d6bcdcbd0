// Command images packs static programs as container images, for a node that
// can reach no registry:
//
//	images OUT.tar REF PROGRAM [REF PROGRAM]…
//
// Each image is one program in the root, and nothing else.
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	if len(args) < 3 || len(args)%2 == 0 {
		return errors.New("usage: images OUT.tar REF PROGRAM [REF PROGRAM]…")
	}
	images := map[name.Reference]v1.Image{}
	for i := 1; i < len(args); i += 2 {
		ref, err := name.ParseReference(args[i])
		if err != nil {
			return err
		}
		if images[ref], err = imageOf(args[i+1]); err != nil {
			return fmt.Errorf("%s: %w", args[i], err)
		}
	}
	f, err := os.Create(args[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return tarball.MultiRefWrite(images, f)
}

// imageOf is an image of a program alone.
func imageOf(program string) (v1.Image, error) {
	b, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	exe := filepath.Base(program)
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	err = w.WriteHeader(&tar.Header{Name: exe, Mode: 0o755, Size: int64(len(b)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = w.Write(b)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	cf, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cf = cf.DeepCopy()
	cf.OS, cf.Architecture = "linux", runtime.GOARCH
	cf.Config.Entrypoint = []string{"/" + exe}
	return mutate.ConfigFile(img, cf)
}
