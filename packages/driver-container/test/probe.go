// Command probe looks at the network from inside a box, with what a program without privileges may do:
// probe ping ADDRESS | probe get URL | probe resolve udp|tcp NAME.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

const patience = 3 * time.Second

func main() {
	var answer string
	var err error
	switch os.Args[1] {
	case "ping":
		answer, err = ping(os.Args[2])
	case "get":
		answer, err = get(os.Args[2])
	case "resolve":
		answer, err = resolve(os.Args[2], os.Args[3])
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Print(answer)
}

// ping sends one ICMP echo from an unprivileged socket, as ping of today's distributions does.
func ping(address string) (string, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, syscall.IPPROTO_ICMP)
	if err != nil {
		return "", err
	}
	limit := syscall.NsecToTimeval(patience.Nanoseconds())
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit); err != nil {
		return "", err
	}
	to := syscall.SockaddrInet4{}
	copy(to.Addr[:], net.ParseIP(address).To4())
	// Type 8, code 0; the kernel fills in checksum and id.
	if err := syscall.Sendto(fd, []byte{8, 0, 0, 0, 0, 0, 0, 1}, 0, &to); err != nil {
		return "", err
	}
	_, _, err = syscall.Recvfrom(fd, make([]byte, 64), 0)
	return "pong\n", err
}

func get(url string) (string, error) {
	client := http.Client{Timeout: patience}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func resolve(transport, name string) (string, error) {
	limit, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, server string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, transport, server)
	}}
	addresses, err := resolver.LookupIP(limit, "ip4", name)
	text := []string{}
	for _, address := range addresses {
		text = append(text, address.String())
	}
	return strings.Join(text, " ") + "\n", err
}
