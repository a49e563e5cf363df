package httpapi

import (
	"io"
	"net/http"
	"path"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/rootfs"
)

const (
	root          = "/"
	stillProtocol = "gibil-still/1"
)

// excluded are the patterns of a request, relative to the root.
func excluded(r *http.Request) ([]string, error) {
	patterns := r.URL.Query()["exclude"]
	for _, pattern := range patterns {
		if _, err := path.Match(pattern, "x"); err != nil || pattern == "" {
			return nil, fault.New(fault.InvalidRequest, "%q is not a pattern.", pattern)
		}
	}
	return patterns, nil
}

func (a *API) surveyTree(w http.ResponseWriter, r *http.Request) error {
	exclude, err := excluded(r)
	if err != nil {
		return err
	}
	survey, err := rootfs.Look(root, exclude)
	if err != nil {
		return fault.Of(err, root)
	}
	writeJSON(w, http.StatusOK, survey)
	return nil
}

func (a *API) getTree(w http.ResponseWriter, r *http.Request) error {
	exclude, err := excluded(r)
	if err != nil {
		return err
	}
	return a.streamTree(w, func() error { return rootfs.Pack(root, exclude, w) })
}

// getFirst is the tree of a box that goes on, and leaves a mark for getRest.
func (a *API) getFirst(w http.ResponseWriter, r *http.Request) error {
	exclude, err := excluded(r)
	if err != nil {
		return err
	}
	return a.streamTree(w, func() error {
		mark, err := rootfs.PackFirst(root, exclude, w)
		if err == nil {
			a.mark.Store(mark)
		}
		return err
	})
}

// getRest is what has changed since getFirst, once: the mark goes with it.
func (a *API) getRest(w http.ResponseWriter, _ *http.Request) error {
	mark := a.mark.Swap(nil)
	if mark == nil {
		return fault.New(fault.InvalidRequest, "No stream of the tree was taken first.")
	}
	return a.streamTree(w, func() error { return mark.PackRest(root, w) })
}

func (a *API) streamTree(w http.ResponseWriter, pack func() error) error {
	w.Header().Set("Content-Type", "application/x-tar")
	if err := pack(); err != nil {
		return errAfterHeaders
	}
	return nil
}

func (a *API) putTree(w http.ResponseWriter, r *http.Request) error {
	report, err := rootfs.Lay(root, r.Body)
	if err != nil {
		return refuseBody(w, r, fault.Of(err, root))
	}
	writeJSON(w, http.StatusOK, report)
	return nil
}

// still keeps the processes of the box stopped as long as the client stays.
func (a *API) still(w http.ResponseWriter, r *http.Request) error {
	if !wantsUpgrade(r, stillProtocol) {
		return fault.New(fault.InvalidRequest, "Standing still needs the header Upgrade: %s.", stillProtocol)
	}
	client, from, err := hijack(w)
	if err != nil {
		return err
	}
	defer client.Close()
	goOn := rootfs.Still()
	defer goOn()
	if _, err := client.Write(switching(stillProtocol)); err == nil {
		_, _ = io.Copy(io.Discard, from)
	}
	return nil
}
