package httpapi

import (
	"bufio"
	"net"
	"net/http"
	"strings"

	"gibil.dev/boxd/internal/fault"
)

func wantsUpgrade(r *http.Request, protocol string) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), protocol) &&
		strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade")
}

// hijack takes the connection out of HTTP. The reader may hold bytes that the client sent right after its request.
func hijack(w http.ResponseWriter) (net.Conn, *bufio.Reader, error) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return nil, nil, fault.New(fault.InvalidRequest, "This connection cannot be upgraded.")
	}
	conn, buffers, err := hijacker.Hijack()
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "The connection could not be upgraded: %v", err)
	}
	return conn, buffers.Reader, nil
}

// switching is the head of the answer to an upgrade.
func switching(protocol string) []byte {
	return []byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n\r\n")
}
