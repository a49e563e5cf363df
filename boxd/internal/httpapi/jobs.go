package httpapi

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/jobs"
)

const (
	framesProtocol     = "gibil-frames/1"
	defaultOutputBytes = 64 << 10
	maxOutputBytes     = 1 << 20
	maxOutputWaitMs    = 60_000
)

func (a *API) routeJob(method, id, verb string) (handler, error) {
	job, err := a.Jobs.Get(id)
	if err != nil {
		return nil, err
	}
	with := func(use func(*jobs.Job, http.ResponseWriter, *http.Request) error) (handler, error) {
		return func(w http.ResponseWriter, r *http.Request) error { return use(job, w, r) }, nil
	}
	switch method + " " + verb {
	case "GET ":
		return with(getJob)
	case "DELETE ":
		return with(a.deleteJob)
	case "GET attach":
		return with(attachJob)
	case "GET output":
		return with(jobOutput)
	case "POST signal":
		return with(signalJob)
	case "POST stdin":
		return with(writeStdin)
	case "POST resize":
		return with(resizeJob)
	}
	return nil, fault.New(fault.NotFound, "boxd has no %s of %q for a job.", method, verb)
}

func (a *API) listJobs(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, a.Jobs.List())
	return nil
}

func (a *API) startJob(w http.ResponseWriter, r *http.Request) error {
	var spec jobs.Spec
	if err := readJSON(w, r, &spec); err != nil {
		return err
	}
	attach := wantsUpgrade(r, framesProtocol)
	job, client, err := a.Jobs.Start(spec, attach)
	if err != nil {
		return err
	}
	if !attach {
		writeJSON(w, http.StatusCreated, job.Info())
		return nil
	}
	return serveFrames(w, client)
}

func attachJob(job *jobs.Job, w http.ResponseWriter, r *http.Request) error {
	if !wantsUpgrade(r, framesProtocol) {
		return fault.New(fault.InvalidRequest, "Attaching needs the header Upgrade: %s.", framesProtocol)
	}
	offset, err := numberOf(r, "offset", -1, 0, 1<<62)
	if err != nil {
		return err
	}
	client, err := job.Attach(offset)
	if err != nil {
		return err
	}
	return serveFrames(w, client)
}

func serveFrames(w http.ResponseWriter, client *jobs.Client) error {
	conn, input, err := hijack(w)
	if err != nil {
		client.Leave()
		return err
	}
	client.Serve(conn, input, switching(framesProtocol))
	return nil
}

func getJob(job *jobs.Job, w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, job.Info())
	return nil
}

func (a *API) deleteJob(job *jobs.Job, w http.ResponseWriter, _ *http.Request) error {
	if err := a.Jobs.Delete(job.Info().ID); err != nil {
		return err
	}
	return noContent(w)
}

func jobOutput(job *jobs.Job, w http.ResponseWriter, r *http.Request) error {
	offset, err := numberOf(r, "offset", -1, 0, 1<<62)
	if err != nil {
		return err
	}
	limit, err := numberOf(r, "limit", defaultOutputBytes, 1, maxOutputBytes)
	if err != nil {
		return err
	}
	waitMs, err := numberOf(r, "waitMs", 0, 0, maxOutputWaitMs)
	if err != nil {
		return err
	}
	output, err := job.Output(r.Context(), offset, int(limit), time.Duration(waitMs)*time.Millisecond, r.URL.Query().Get("times") == "1")
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, output)
	return nil
}

func signalJob(job *jobs.Job, w http.ResponseWriter, r *http.Request) error {
	var body jobs.SignalRequest
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if err := job.Signal(body.Signal, body.WholeGroup()); err != nil {
		return err
	}
	return noContent(w)
}

func writeStdin(job *jobs.Job, w http.ResponseWriter, r *http.Request) error {
	piece := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(piece)
		if n > 0 {
			if err := job.WriteStdin(piece[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fault.New(fault.InvalidRequest, "The body ended too early: %v", err)
		}
	}
	if r.URL.Query().Get("end") == "1" {
		if err := job.EndStdin(); err != nil {
			return err
		}
	}
	return noContent(w)
}

func resizeJob(job *jobs.Job, w http.ResponseWriter, r *http.Request) error {
	var size jobs.Size
	if err := readJSON(w, r, &size); err != nil {
		return err
	}
	if err := job.Resize(size); err != nil {
		return err
	}
	return noContent(w)
}

// numberOf reads a number from the query; absent gives the default, which need not be in the range.
func numberOf(r *http.Request, name string, absent, min, max int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return absent, nil
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < min || number > max {
		return 0, fault.New(fault.InvalidRequest, "%s must be a whole number from %d to %d, not %q.", name, min, max, text)
	}
	return number, nil
}
