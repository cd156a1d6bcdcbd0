package webhook

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// ReadBody reads the request's body within the limit of the Stack.
func ReadBody(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(r.Body)
	var tooBig *http.MaxBytesError
	switch {
	case err == nil:
		return b, nil
	case errors.As(err, &tooBig):
		return nil, tooLarge(tooBig.Limit, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, WithStatus(http.StatusRequestTimeout, fault.Wrap(err, fault.Usage, "The request's body came too slowly."))
	}
	return nil, fault.Wrap(err, fault.Usage, "The request's body could not be read.")
}

// ReadJSON decodes the request's body into v. Fields that v does not have are
// ignored: platforms add some without notice.
func ReadJSON(r *http.Request, v any) error {
	b, err := ReadBody(r)
	if err != nil {
		return err
	}
	var wrong *json.UnmarshalTypeError
	err = json.Unmarshal(b, v)
	if errors.As(err, &wrong) {
		return fault.Wrap(err, fault.Usage, "A field of the request's body has the wrong type.")
	}
	return fault.Wrap(err, fault.Usage, "The request's body is not valid JSON.")
}

func tooLarge(limit int64, cause error) error {
	return WithStatus(http.StatusRequestEntityTooLarge, &fault.Error{
		Kind: fault.Usage, Public: "The request's body is too large: at most " + size(limit) + " are taken.", Err: cause,
	})
}
