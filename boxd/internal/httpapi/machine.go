package httpapi

import (
	"net/http"
	"syscall"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/guest"
)

// machineOnly refuses a call where boxd is not the first process of a virtual machine.
func (a *API) machineOnly(handle handler) handler {
	if a.Identify != nil {
		return handle
	}
	return func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "This boxd is not that of a virtual machine.")
	}
}

func (a *API) identity(w http.ResponseWriter, r *http.Request) error {
	var body guest.Identity
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if err := a.Identify(body); err != nil {
		return err
	}
	answer := struct {
		BootJob *string `json:"bootJob"`
	}{}
	if body.Hostname != "" {
		if id := a.boot(); id != "" {
			answer.BootJob = &id
		}
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func (a *API) sync(w http.ResponseWriter, _ *http.Request) error {
	syscall.Sync()
	return noContent(w)
}

func (a *API) listDisks(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, a.Disks.List())
	return nil
}

func (a *API) mountDisk(w http.ResponseWriter, r *http.Request) error {
	var body guest.Disk
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if err := a.Disks.Mount(body); err != nil {
		return fault.Of(err, body.Path)
	}
	return noContent(w)
}

func (a *API) unmountDisk(w http.ResponseWriter, r *http.Request) error {
	path := r.URL.Query().Get("path")
	if path == "" {
		a.Disks.Drop()
		return noContent(w)
	}
	if err := a.Disks.Unmount(path); err != nil {
		return fault.Of(err, path)
	}
	return noContent(w)
}
