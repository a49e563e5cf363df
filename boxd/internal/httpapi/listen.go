package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"gibil.dev/boxd/internal/fault"
)

const (
	listenProtocol = "gibil-listen/1"
	// acceptTime is how long a connection waits to be taken.
	acceptTime = 30 * time.Second
	// maxWaiting bounds connections that wait, of all listeners together.
	maxWaiting = 256
)

// visitors are connections that came to a listener and wait to be taken, by a number.
type visitors struct {
	mu      sync.Mutex
	next    uint64
	waiting map[string]net.Conn
}

func (v *visitors) add(conn net.Conn) (id string, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.waiting) >= maxWaiting {
		return "", false
	}
	if v.waiting == nil {
		v.waiting = map[string]net.Conn{}
	}
	v.next++
	id = strconv.FormatUint(v.next, 10)
	v.waiting[id] = conn
	time.AfterFunc(acceptTime, func() {
		if conn := v.take(id); conn != nil {
			conn.Close()
		}
	})
	return id, true
}

func (v *visitors) take(id string) net.Conn {
	v.mu.Lock()
	defer v.mu.Unlock()
	conn := v.waiting[id]
	delete(v.waiting, id)
	return conn
}

// listen opens a port of the box, or a socket that one user alone can connect to, and tells of each connection, until the client leaves.
func (a *API) listen(w http.ResponseWriter, r *http.Request) error {
	if !wantsUpgrade(r, listenProtocol) {
		return fault.New(fault.InvalidRequest, "Listening needs the header Upgrade: %s.", listenProtocol)
	}
	listener, place, err := a.openListener(r)
	if err != nil {
		return err
	}
	defer listener.Close()
	if place.Path != "" {
		defer os.RemoveAll(filepath.Dir(place.Path))
	}
	outer, buffered, err := hijack(w)
	if err != nil {
		return err
	}
	defer outer.Close()
	if _, err := outer.Write(append(switching(listenProtocol), jsonLine(place)...)); err != nil {
		return nil
	}
	go func() {
		_, _ = io.Copy(io.Discard, buffered) // until it leaves
		listener.Close()
	}()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil
		}
		id, ok := a.visitors.add(conn)
		if !ok {
			conn.Close()
			continue
		}
		if _, err := outer.Write(jsonLine(visitorOf(id, conn))); err != nil {
			return nil
		}
	}
}

type listeningPlace struct {
	Port int    `json:"port,omitempty"`
	Path string `json:"path,omitempty"`
}

type visitor struct {
	ID   string `json:"id"`
	Host string `json:"host,omitempty"`
	Port int    `json:"port,omitempty"`
}

func visitorOf(id string, conn net.Conn) visitor {
	if from, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return visitor{id, from.IP.String(), from.Port}
	}
	return visitor{ID: id}
}

func jsonLine(value any) []byte {
	text, _ := json.Marshal(value)
	return append(text, '\n')
}

func (a *API) openListener(r *http.Request) (net.Listener, listeningPlace, error) {
	query := r.URL.Query()
	if user := query.Get("socketOf"); user != "" {
		return a.openSocket(user)
	}
	port, err := numberOf(r, "port", 0, 0, 65535)
	if err != nil {
		return nil, listeningPlace{}, err
	}
	host := query.Get("host")
	if host == "" {
		host = "127.0.0.1"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.FormatInt(port, 10)))
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, listeningPlace{}, fault.New(fault.FileConflict, "Port %d of the box is in use.", port)
		}
		return nil, listeningPlace{}, fault.Of(err, "Listening in the box")
	}
	return listener, listeningPlace{Port: listener.Addr().(*net.TCPAddr).Port}, nil
}

// openSocket listens in a new directory that only its user can enter.
func (a *API) openSocket(name string) (net.Listener, listeningPlace, error) {
	fail := func(err error) (net.Listener, listeningPlace, error) {
		return nil, listeningPlace{}, fault.Of(err, "Listening in the box")
	}
	user, err := a.Jobs.Users().Lookup(name)
	if err != nil {
		return nil, listeningPlace{}, err
	}
	dir, err := os.MkdirTemp("", "gibil-")
	if err != nil {
		return fail(err)
	}
	path := filepath.Join(dir, "socket")
	listener, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chown(path, int(user.UID), int(user.GID))
	}
	if err == nil {
		err = os.Chown(dir, int(user.UID), int(user.GID))
	}
	if err != nil {
		if listener != nil {
			listener.Close()
		}
		os.RemoveAll(dir)
		return fail(err)
	}
	return listener, listeningPlace{Path: path}, nil
}

// accept takes a connection that came to a listener.
func (a *API) accept(w http.ResponseWriter, r *http.Request) error {
	if !wantsUpgrade(r, tcpProtocol) {
		return fault.New(fault.InvalidRequest, "Taking a connection needs the header Upgrade: %s.", tcpProtocol)
	}
	inner := a.visitors.take(r.URL.Query().Get("id"))
	if inner == nil {
		return fault.New(fault.PortClosed, "No such connection waits any more.")
	}
	return joinClient(w, inner)
}
