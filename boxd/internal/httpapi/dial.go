package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"gibil.dev/boxd/internal/fault"
)

const (
	tcpProtocol = "gibil-tcp/1"
	dialTimeout = 5 * time.Second
	pipeBytes   = 32 << 10
)

// dial joins the connection with one to a TCP port of the box. Without a host both loopback addresses are tried: some
// servers listen on one of them only.
func (a *API) dial(w http.ResponseWriter, r *http.Request) error {
	if !wantsUpgrade(r, tcpProtocol) {
		return fault.New(fault.InvalidRequest, "Dialling a port needs the header Upgrade: %s.", tcpProtocol)
	}
	port, err := numberOf(r, "port", 0, 1, 65535)
	if err != nil {
		return err
	}
	if port == 0 {
		return fault.New(fault.InvalidRequest, "port is missing.")
	}
	hosts := []string{"127.0.0.1", "::1"}
	if host := r.URL.Query().Get("host"); host != "" {
		hosts = []string{host}
	}
	inner, err := dialAny(r.Context(), hosts, strconv.FormatInt(port, 10))
	if err != nil {
		code := fault.BoxdUnreachable
		if errors.Is(err, syscall.ECONNREFUSED) {
			code = fault.PortClosed
		}
		return fault.New(code, "Nothing in the box answers on port %d: %v", port, err)
	}
	return joinClient(w, inner)
}

// joinClient makes the client's connection one with a connection in the box, until both have ended.
func joinClient(w http.ResponseWriter, inner net.Conn) error {
	defer inner.Close()
	outer, buffered, err := hijack(w)
	if err != nil {
		return err
	}
	defer outer.Close()
	if _, err := outer.Write(switching(tcpProtocol)); err != nil {
		return nil
	}
	join(outer, buffered, inner)
	return nil
}

func dialAny(ctx context.Context, hosts []string, port string) (conn net.Conn, err error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	for _, host := range hosts {
		var tried error
		if conn, tried = dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port)); tried == nil {
			return conn, nil
		}
		if err == nil {
			err = tried
		}
	}
	return nil, err
}

// join copies both ways until both have ended. An end of one way is passed on as such; a failure ends both.
func join(outer net.Conn, fromOuter io.Reader, inner net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		pass(inner, fromOuter, outer)
	}()
	pass(outer, inner, inner)
	<-done
}

// pass copies to one side. source is the connection behind from, which is closed with it when the way fails.
func pass(to net.Conn, from io.Reader, source net.Conn) {
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, pipeBytes))
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		if half.CloseWrite() == nil {
			return
		}
	}
	to.Close()
	source.Close()
}
