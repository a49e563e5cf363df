package httpapi

import (
	"encoding/json"
	"net/http"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/watch"
)

func (a *API) watchFiles(w http.ResponseWriter, r *http.Request) error {
	path, err := a.pathOf(r)
	if err != nil {
		return err
	}
	flusher, ok := w.(http.Flusher)
	if !ok {
		return fault.New(fault.Internal, "This connection cannot stream.")
	}
	watcher, err := watch.Open(path, r.URL.Query().Get("recursive") == "1")
	if err != nil {
		return err
	}
	defer watcher.Close()
	stopped := make(chan struct{})
	defer func() { <-stopped }() // it must not touch the watcher after it is closed
	finished := make(chan struct{})
	defer close(finished)
	go func() {
		defer close(stopped)
		select {
		case <-r.Context().Done():
			watcher.Interrupt()
		case <-finished:
		}
	}()
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	if err := out.Encode(map[string]string{"type": "ready"}); err != nil {
		return nil
	}
	flusher.Flush()
	for {
		events, err := watcher.Next()
		if err != nil || len(events) == 0 {
			return nil
		}
		for _, event := range events {
			if out.Encode(event) != nil {
				return nil
			}
		}
		flusher.Flush()
	}
}
