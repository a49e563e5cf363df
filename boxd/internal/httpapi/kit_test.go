package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gibil.dev/boxd/internal/files"
	"gibil.dev/boxd/internal/jobs"
	"gibil.dev/boxd/internal/metrics"
	"gibil.dev/boxd/internal/users"
)

// box is boxd on a unix socket, with a directory to work in.
type box struct {
	t      *testing.T
	socket string
	dir    string
	client *http.Client
	graces chan time.Duration
}

func newBox(t *testing.T) *box {
	t.Helper()
	user := strconv.Itoa(os.Getuid())
	table := jobs.NewTable(users.System(), user, false)
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-children:
				table.Reap()
			case <-stop:
				return
			}
		}
	}()
	b := &box{t: t, socket: filepath.Join(t.TempDir(), "boxd"), dir: t.TempDir(), graces: make(chan time.Duration, 2)}
	listener, err := net.Listen("unix", b.socket)
	if err != nil {
		t.Fatal(err)
	}
	api := &API{
		Version: "test", Jobs: table, Shutdown: func(grace time.Duration) { b.graces <- grace },
		Files:   &files.Tree{Users: table.Users(), DefaultUser: func() string { return user }},
		Metrics: metrics.New("/", false, time.Now),
	}
	go func() { _ = api.Serve(listener) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", b.socket)
	}}
	b.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		listener.Close()
		for _, info := range table.List() {
			if job, err := table.Get(info.ID); err == nil {
				_ = job.Signal("SIGKILL", true)
			}
		}
		signal.Stop(children)
		close(stop)
		table.Reap()
	})
	return b
}

// call makes a request and gives status and body.
func (b *box) call(method, path, body string, headers ...string) (int, string) {
	b.t.Helper()
	return b.send(method, path, strings.NewReader(body), headers...)
}

func (b *box) send(method, path string, body io.Reader, headers ...string) (int, string) {
	b.t.Helper()
	request, err := http.NewRequest(method, "http://boxd/v1/"+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := b.client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func (b *box) want(status int, code, method, path, body string, headers ...string) string {
	b.t.Helper()
	got, text := b.call(method, path, body, headers...)
	if got != status || (code != "" && !strings.Contains(text, `"code":"`+code+`"`)) {
		b.t.Fatalf("%s %s: %d %s, want %d %s", method, path, got, text, status, code)
	}
	return text
}

// raw sends bytes on a connection of its own.
func (b *box) raw(text string) (*net.UnixConn, *bufio.Reader) {
	b.t.Helper()
	conn, err := net.Dial("unix", b.socket)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		b.t.Fatal(err)
	}
	return conn.(*net.UnixConn), bufio.NewReader(conn)
}

// upgradeRequest is the head, and the body if there is one, of an upgrade.
func upgradeRequest(method, path, protocol, body string) string {
	return fmt.Sprintf("%s /v1/%s HTTP/1.1\r\nHost: boxd\r\nConnection: Upgrade\r\nUpgrade: %s\r\nContent-Length: %d\r\n\r\n%s",
		method, path, protocol, len(body), body)
}

// switched reads the head of the answer and fails unless it is an upgrade.
func (b *box) switched(in *bufio.Reader) {
	b.t.Helper()
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(response.Body)
		b.t.Fatalf("%d %s", response.StatusCode, text)
	}
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value
}
