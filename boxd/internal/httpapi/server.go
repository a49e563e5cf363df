// Package httpapi is the wire of boxd: HTTP/1.1 with JSON, raw bodies and upgrades, as PROTOCOL.md says.
package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/files"
	"gibil.dev/boxd/internal/guest"
	"gibil.dev/boxd/internal/jobs"
	"gibil.dev/boxd/internal/metrics"
	"gibil.dev/boxd/internal/ports"
	"gibil.dev/boxd/internal/rootfs"
)

// API answers requests.
type API struct {
	Version string
	Jobs    *jobs.Table
	// Shutdown begins to end the box; it is called at most once at a time and returns at once.
	Shutdown func(grace time.Duration)

	// Files is the filesystem of the box.
	Files *files.Tree
	// Metrics reads what the box uses.
	Metrics *metrics.Reader
	// Identify gives a virtual machine its identity; nil where boxd is no machine's first process.
	Identify func(guest.Identity) error
	// Disks are those that the host serves to a virtual machine; nil as Identify.
	Disks *guest.Disks

	// mark is of the first of two streams of the tree.
	mark     atomic.Pointer[rootfs.Mark]
	visitors visitors
	started  time.Time
	bootOnce sync.Once
	bootJob  string
	routes   map[string]handler
}

// Serve answers on a listener until it fails.
func (a *API) Serve(listener net.Listener) error {
	a.started = time.Now()
	a.routes = a.table()
	server := &http.Server{
		Handler:           a,
		MaxHeaderBytes:    64 << 10,
		ReadHeaderTimeout: time.Minute,
		IdleTimeout:       10 * time.Minute,
	}
	return server.Serve(listener)
}

type handler = func(http.ResponseWriter, *http.Request) error

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handle, err := a.route(r)
	if err == nil {
		err = handle(w, r)
	}
	if err == nil {
		return
	}
	if errors.Is(err, errAfterHeaders) {
		panic(http.ErrAbortHandler) // the only way left to say that the body is not whole
	}
	writeError(w, err)
}

// errAfterHeaders wraps a failure in the middle of a body.
var errAfterHeaders = errors.New("the body could not be sent whole")

func (a *API) route(r *http.Request) (handler, error) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	if path == r.URL.Path {
		return nil, fault.New(fault.NotFound, "boxd has no %s.", r.URL.Path)
	}
	if rest := strings.TrimPrefix(path, "jobs/"); rest != path {
		id, verb, _ := strings.Cut(rest, "/")
		return a.routeJob(r.Method, id, verb)
	}
	if handle, ok := a.routes[r.Method+" "+path]; ok {
		return handle, nil
	}
	return nil, fault.New(fault.NotFound, "boxd has no %s %s.", r.Method, r.URL.Path)
}

func (a *API) table() map[string]handler {
	return map[string]handler{
		"GET health":     a.health,
		"POST configure": a.configure,
		"POST shutdown":  a.shutdown,
		"POST identity":  a.machineOnly(a.identity),
		"POST sync":      a.machineOnly(a.sync),
		"GET jobs":       a.listJobs,
		"POST jobs":      a.startJob,
		"GET metrics":    a.metrics,
		"GET ports":      a.ports,
		"GET dial":       a.dial,
		"GET listen":     a.listen,
		"GET accept":     a.accept,
		"GET disks":      a.machineOnly(a.listDisks),
		"POST disks":     a.machineOnly(a.mountDisk),
		"DELETE disks":   a.machineOnly(a.unmountDisk),

		"GET files":             a.readFile,
		"PUT files":             a.writeFile,
		"DELETE files":          a.removeFile,
		"GET files/stat":        a.statFile,
		"POST files/attributes": a.setAttributes,
		"GET files/list":        a.listFiles,
		"POST files/mkdir":      a.makeDirectory,
		"POST files/move":       a.moveFile,
		"POST files/chmod":      a.changeMode,
		"GET tar":               a.getTar,
		"PUT tar":               a.putTar,
		"GET watch":             a.watchFiles,
		"GET tree":              a.getTree,
		"GET tree/first":        a.getFirst,
		"GET tree/rest":         a.getRest,
		"PUT tree":              a.putTree,
		"GET tree/survey":       a.surveyTree,
		"GET still":             a.still,
	}
}

func (a *API) health(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]any{
		"version": a.Version, "pid": os.Getpid(), "startedAt": a.started.UTC().Format(jobs.TimeFormat),
	})
	return nil
}

func (a *API) configure(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Env  map[string]string `json:"env"`
		User *string           `json:"user"`
		Cwd  *string           `json:"cwd"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if err := a.Jobs.Configure(body.Env, body.User, body.Cwd); err != nil {
		return err
	}
	return noContent(w)
}

func (a *API) shutdown(w http.ResponseWriter, r *http.Request) error {
	body := struct {
		GraceMs int64 `json:"graceMs"`
	}{GraceMs: 5000}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if body.GraceMs < 0 || body.GraceMs > 3_600_000 {
		return fault.New(fault.InvalidRequest, "graceMs must be 0 to 3600000.")
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusAccepted)
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush() // boxd may be gone right after
	}
	a.Shutdown(time.Duration(body.GraceMs) * time.Millisecond)
	return nil
}

func (a *API) metrics(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, a.Metrics.Read())
	return nil
}

func (a *API) ports(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, ports.List("/proc", os.Getpid()))
	return nil
}

func noContent(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func newReader(data []byte) io.Reader { return bytes.NewReader(data) }
