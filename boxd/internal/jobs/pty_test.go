package jobs

import (
	"strings"
	"testing"

	"gibil.dev/boxd/internal/frames"
)

func ttySpec(script string) Spec {
	spec := sh(script)
	spec.Tty = &Size{Cols: 90, Rows: 30}
	return spec
}

// readUntil reads output until it holds a text.
func readUntil(t *testing.T, l *listener, text string) string {
	t.Helper()
	var seen strings.Builder
	for !strings.Contains(seen.String(), text) {
		f, ok := l.next()
		if !ok || f.kind == frames.Exit {
			t.Fatalf("the stream ended; seen %q", seen.String())
		}
		if f.kind == frames.Stderr {
			t.Fatal("a terminal has one stream")
		}
		if f.kind == frames.Stdout {
			seen.Write(f.payload)
		}
	}
	return seen.String()
}

func TestTerminal(t *testing.T) {
	_, l := startAttached(t, newTable(t), ttySpec("test -t 0 && test -t 1 && test -t 2 && stty size; echo $TERM; echo err >&2; exit 8"))
	out, exit := l.until(frames.Exit)
	if string(out) != "30 90\r\nxterm-256color\r\nerr\r\n" || !strings.Contains(string(exit.payload), `"exitCode":8`) {
		t.Fatalf("%q %s", out, exit.payload)
	}
}

func TestTerminalIsTheControllingOne(t *testing.T) {
	_, l := startAttached(t, newTable(t), ttySpec("echo over /dev/tty >/dev/tty; exec sleep 1000"))
	readUntil(t, l, "over /dev/tty")
	l.send(frames.Stdin, "\x03") // ^C
	if _, exit := l.until(frames.Exit); !strings.Contains(string(exit.payload), `"signal":"SIGINT"`) {
		t.Fatalf("%s", exit.payload)
	}
}

func TestTerminalResize(t *testing.T) {
	_, l := startAttached(t, newTable(t), ttySpec("trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"))
	readUntil(t, l, "ready")
	l.send(frames.Resize, `{"cols":132,"rows":50}`)
	readUntil(t, l, "50 132")
	l.send(frames.Signal, `{"signal":"SIGKILL"}`)
	l.until(frames.Exit)
}

func TestTerminalEndOfInput(t *testing.T) {
	for name, typed := range map[string]string{"after a line": "hello\n", "in a line": "hello", "at once": ""} {
		t.Run(name, func(t *testing.T) {
			_, l := startAttached(t, newTable(t), ttySpec("stty -echo; echo ready; cat"))
			readUntil(t, l, "ready")
			l.send(frames.Stdin, typed)
			l.send(frames.StdinEnd, "")
			out, exit := l.until(frames.Exit)
			if !strings.Contains(string(out), strings.TrimSpace(typed)) || !strings.Contains(string(exit.payload), `"exitCode":0`) {
				t.Fatalf("%q %s", out, exit.payload)
			}
		})
	}
}

func TestTerminalOutputIsWhole(t *testing.T) {
	spec := ttySpec("stty -opost; seq 1 100000")
	_, l := startAttached(t, newTable(t), spec)
	if out, _ := l.until(frames.Exit); string(out) != string(numbers(100_000)) {
		t.Fatalf("%d bytes came", len(out))
	}
}
