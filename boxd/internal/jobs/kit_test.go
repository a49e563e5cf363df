package jobs

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/frames"
	"gibil.dev/boxd/internal/users"
)

// patience is how long a test waits for what must happen; none asserts how long it took.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv("BOXD_TEST_ORPHANS") != "" {
		orphans()
		return
	}
	// What the test process itself was given must not be taken for a leak.
	for fd := 3; fd < 256; fd++ {
		syscall.CloseOnExec(fd)
	}
	os.Exit(m.Run())
}

// newTable gives a table that waits for its own commands only: the test process has other children too.
func newTable(t *testing.T) *Table {
	t.Helper()
	table := NewTable(users.System(), strconv.Itoa(os.Getuid()), false)
	stop := make(chan struct{})
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
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
	t.Cleanup(func() {
		for _, job := range table.alive() {
			_ = job.Signal("SIGKILL", true)
		}
		eventually(t, "all commands end", func() bool { return len(table.alive()) == 0 })
		signal.Stop(children)
		close(stop)
	})
	return table
}

func sh(script string) Spec { return Spec{Argv: []string{"sh", "-c", script}, Cwd: "/"} }

func start(t *testing.T, table *Table, spec Spec) *Job {
	t.Helper()
	job, _, err := table.Start(spec, false)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("it never came that %s", what)
}

func waitExit(t *testing.T, job *Job) Exit {
	t.Helper()
	eventually(t, "the command ends", func() bool { return job.Info().Exit != nil })
	return *job.Info().Exit
}

// run runs a command to its end and gives what it printed.
func run(t *testing.T, table *Table, spec Spec) (stdout, stderr string, exit Exit) {
	t.Helper()
	job := start(t, table, spec)
	exit = waitExit(t, job)
	var out, err strings.Builder
	j := job
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, chunk := range j.output(0, 1<<30, false).Chunks {
		if chunk.Stream == "stdout" {
			out.Write(chunk.Base64)
		} else {
			err.Write(chunk.Base64)
		}
	}
	return out.String(), err.String(), exit
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var refused *fault.Error
	if !errors.As(err, &refused) || refused.Code != code {
		t.Fatalf("got %v, want the code %s", err, code)
	}
}

func wantExit(t *testing.T, exit Exit, code int) {
	t.Helper()
	if exit.ExitCode == nil || *exit.ExitCode != code {
		t.Fatalf("exit is %s, want the code %d", show(exit), code)
	}
}

func show(value any) string {
	text, _ := json.Marshal(value)
	return string(text)
}

// listener is the far end of an attached client, over a real socket pair.
type listener struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	done chan struct{}
}

type frame struct {
	kind    byte
	payload []byte
}

func serve(t *testing.T, client *Client) *listener {
	t.Helper()
	ends := socketPair(t)
	l := &listener{t: t, conn: ends[1], in: bufio.NewReader(ends[1]), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		client.Serve(ends[0], bufio.NewReader(ends[0]), nil)
	}()
	t.Cleanup(func() { l.conn.Close(); <-l.done })
	return l
}

func socketPair(t *testing.T) [2]net.Conn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	server, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	far, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	near, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return [2]net.Conn{near, far}
}

func (l *listener) next() (frame, bool) {
	l.t.Helper()
	_ = l.conn.SetReadDeadline(time.Now().Add(patience))
	kind, length, err := frames.ReadHeader(l.in)
	if err == io.EOF {
		return frame{}, false
	}
	if err != nil {
		l.t.Fatal(err)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(l.in, payload); err != nil {
		l.t.Fatal(err)
	}
	return frame{kind, payload}, true
}

// until reads frames to the first of a kind, and gives all output before it.
func (l *listener) until(kind byte) (output []byte, last frame) {
	l.t.Helper()
	for {
		f, ok := l.next()
		if !ok {
			l.t.Fatalf("the stream ended without a frame of type %d after %d bytes", kind, len(output))
		}
		if f.kind == kind {
			return output, f
		}
		if f.kind == frames.Stdout || f.kind == frames.Stderr {
			output = append(output, f.payload...)
		}
	}
}

func (l *listener) send(kind byte, payload string) {
	l.t.Helper()
	header := frames.Header(kind, len(payload))
	if _, err := l.conn.Write(append(header[:], payload...)); err != nil {
		l.t.Fatal(err)
	}
}

func attach(t *testing.T, job *Job, offset int64) *listener {
	t.Helper()
	client, err := job.Attach(offset)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, client)
}

func startAttached(t *testing.T, table *Table, spec Spec) (*Job, *listener) {
	t.Helper()
	job, client, err := table.Start(spec, true)
	if err != nil {
		t.Fatal(err)
	}
	return job, serve(t, client)
}

func exists(pid int) bool { return syscall.Kill(pid, 0) == nil }
