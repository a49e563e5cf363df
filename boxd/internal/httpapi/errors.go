package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"gibil.dev/boxd/internal/fault"
)

// maxJSON bounds the body of every call that takes JSON.
const maxJSON = 1 << 20

var statuses = map[string]int{
	fault.InvalidRequest: 400, fault.InvalidPath: 400, fault.PermissionDenied: 403, fault.FileNotFound: 404,
	fault.JobNotFound: 404, fault.NotFound: 404, fault.FileConflict: 409, fault.WrongState: 409, fault.PayloadTooLarge: 413,
	fault.CommandNotFound: 422, fault.UserNotFound: 422, fault.LimitReached: 429, fault.BoxdUnreachable: 502,
	fault.PortClosed: 502, fault.DiskFull: 507, fault.Internal: 500,
}

type errorBody struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func writeError(w http.ResponseWriter, err error) {
	if errors.Is(err, context.Canceled) {
		return // nobody is left to read it
	}
	refused := fault.Of(err, "boxd")
	var body errorBody
	body.Error.Code, body.Error.Message = refused.Code, refused.Message
	status := statuses[refused.Code]
	if errors.Is(err, errRange) {
		status = http.StatusRequestedRangeNotSatisfiable
	}
	w.Header().Del("Content-Length")
	w.Header().Del("Last-Modified")
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // our own types only
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header()["Date"] = nil // nobody reads it
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// readJSON reads a body that must be one JSON value without unknown fields. An empty body leaves into as it is.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	body := http.MaxBytesReader(w, r.Body, maxJSON)
	data, err := io.ReadAll(body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return fault.New(fault.PayloadTooLarge, "A JSON body has at most 1 MiB.")
	}
	if err != nil {
		return fault.New(fault.InvalidRequest, "The body could not be read: %v", err)
	}
	if len(data) == 0 {
		return nil
	}
	decoder := json.NewDecoder(newReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fault.New(fault.InvalidRequest, "The body is not the JSON that this call takes: %v", err)
	}
	if decoder.More() {
		return fault.New(fault.InvalidRequest, "The body holds more than one JSON value.")
	}
	return nil
}
