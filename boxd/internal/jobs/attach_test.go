package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/frames"
)

// numbers is what `seq 1 n` prints.
func numbers(n int) []byte {
	var text bytes.Buffer
	for i := 1; i <= n; i++ {
		fmt.Fprintln(&text, i)
	}
	return text.Bytes()
}

func TestFramesFromStartToExit(t *testing.T) {
	_, l := startAttached(t, newTable(t), sh("printf out; sleep 0.05; printf err >&2; exit 2"))
	var kinds []byte
	for {
		f, ok := l.next()
		if !ok {
			break
		}
		kinds = append(kinds, f.kind)
		if f.kind == frames.Exit && !strings.Contains(string(f.payload), `"exitCode":2`) {
			t.Fatalf("%s", f.payload)
		}
	}
	if want := []byte{frames.Started, frames.Stdout, frames.Stderr, frames.Exit}; !bytes.Equal(kinds, want) {
		t.Fatalf("frames %v, want %v", kinds, want)
	}
}

func TestNothingIsLostWhenAttachingAgainFromAnOffset(t *testing.T) {
	const count = 200_000
	spec := sh(fmt.Sprintf("seq 1 %d; read line; echo $line", count))
	spec.Stdin, spec.RingBytes = true, 4<<20
	job, l := startAttached(t, newTable(t), spec)
	var received []byte
	for round := 0; ; round++ {
		// Each connection takes a part and is dropped without a word.
		for target := len(received) + 100_000 + round*7; len(received) < target && len(received) < len(numbers(count)); {
			f, ok := l.next()
			if !ok {
				t.Fatal("the stream ended")
			}
			if f.kind == frames.Stdout {
				received = append(received, f.payload...)
			}
		}
		l.conn.Close()
		if len(received) >= len(numbers(count)) {
			break
		}
		l = attach(t, job, int64(len(received)))
	}
	l = attach(t, job, int64(len(received)))
	l.until(frames.Started)
	l.send(frames.Stdin, "the end\n")
	rest, _ := l.until(frames.Exit)
	if want := append(numbers(count), "the end\n"...); !bytes.Equal(append(received, rest...), want) {
		t.Fatalf("%d bytes came, want %d, or they differ", len(received)+len(rest), len(want))
	}
}

func TestGapWhenOverwritten(t *testing.T) {
	const ring = 8 << 10
	spec := sh("seq 1 20000")
	spec.RingBytes = ring
	job := start(t, newTable(t), spec)
	waitExit(t, job)
	info := job.Info()
	want := numbers(20_000)
	if info.OutputBytes != int64(len(want)) || info.FirstOffset < info.OutputBytes-ring-(64<<10) || info.FirstOffset == 0 {
		t.Fatal(show(info))
	}
	l := attach(t, job, 10)
	f, _ := l.next()
	var started startedFrame
	if err := json.Unmarshal(f.payload, &started); err != nil || f.kind != frames.Started || started.Offset != 10 {
		t.Fatalf("%d %s", f.kind, f.payload)
	}
	f, _ = l.next()
	var gap gapFrame
	if err := json.Unmarshal(f.payload, &gap); err != nil || f.kind != frames.Gap || gap != (gapFrame{10, info.FirstOffset}) {
		t.Fatalf("%d %s", f.kind, f.payload)
	}
	if rest, _ := l.until(frames.Exit); !bytes.Equal(rest, want[gap.To:]) {
		t.Fatal("what is kept is not the end of the output")
	}
}

func TestAttachWithoutOffsetBeginsAtTheOldest(t *testing.T) {
	job := start(t, newTable(t), sh("echo hello"))
	waitExit(t, job)
	l := attach(t, job, -1)
	if out, _ := l.until(frames.Exit); string(out) != "hello\n" {
		t.Fatalf("%q", out)
	}
	_, err := job.Attach(7)
	wantCode(t, err, fault.InvalidRequest)
}

// settled waits until a command prints no more.
func settled(t *testing.T, job *Job) int64 {
	t.Helper()
	last, since := int64(-1), time.Now()
	eventually(t, "the output settles", func() bool {
		if now := job.Info().OutputBytes; now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 300*time.Millisecond
	})
	return last
}

func TestAttachedClientHoldsTheCommandBack(t *testing.T) {
	const count, ring = 1_000_000, 64 << 10
	spec := sh(fmt.Sprintf("seq 1 %d", count))
	spec.RingBytes = ring
	job, l := startAttached(t, newTable(t), spec)
	l.until(frames.Started)
	// Sockets hold some too, so the bound is not the ring alone; the output is nearly 7 MB.
	if stalled := settled(t, job); stalled > 2<<20 || job.Info().Exit != nil {
		t.Fatalf("%d bytes were read though nobody takes them", stalled)
	}
	if out, _ := l.until(frames.Exit); !bytes.Equal(out, numbers(count)) {
		t.Fatal("output was lost")
	}
}

func TestStuckClientThatLeavesLetsTheCommandGoOn(t *testing.T) {
	spec := sh("seq 1 1000000")
	spec.RingBytes = 64 << 10
	job, l := startAttached(t, newTable(t), spec)
	settled(t, job)
	l.conn.Close()
	wantExit(t, waitExit(t, job), 0)
}

func TestHalfClosedClientCountsAsLeft(t *testing.T) {
	spec := sh("seq 1 1000000")
	spec.RingBytes = 64 << 10
	job, l := startAttached(t, newTable(t), spec)
	settled(t, job)
	if err := l.conn.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wantExit(t, waitExit(t, job), 0)
}

func TestSlowClientGetsAllThatWasPrintedBeforeTheEnd(t *testing.T) {
	// The command fills ring and pipe and ends while nobody takes anything.
	spec := sh("seq 1 1000000 | head -c 120000; exit 6")
	spec.RingBytes = 64 << 10
	job, client, err := newTable(t).Start(spec, true)
	if err != nil {
		t.Fatal(err)
	}
	exit := waitExit(t, job) // known although the client is stuck
	wantExit(t, exit, 6)
	l := serve(t, client)
	if out, _ := l.until(frames.Exit); !bytes.Equal(out, numbers(1_000_000)[:120_000]) {
		t.Fatalf("%d bytes came", len(out))
	}
}

func TestManyClientsSeeTheSame(t *testing.T) {
	spec := sh("read line; seq 1 50000")
	spec.Stdin, spec.RingBytes = true, 16<<10
	job, first := startAttached(t, newTable(t), spec)
	second, third := attach(t, job, -1), attach(t, job, 0)
	results := make(chan []byte, 3)
	for _, l := range []*listener{first, second, third} {
		go func(l *listener) {
			out, _ := l.until(frames.Exit)
			results <- out
		}(l)
	}
	if err := job.EndStdin(); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 3; i++ {
		if out := <-results; !bytes.Equal(out, numbers(50_000)) {
			t.Fatalf("client %d got %d bytes", i, len(out))
		}
	}
}

func TestCommandOutlivesItsConnection(t *testing.T) {
	spec := sh("read line; echo $line; exit 3")
	spec.Stdin = true
	job, l := startAttached(t, newTable(t), spec)
	l.until(frames.Started)
	l.conn.Close()
	<-l.done
	if err := job.WriteStdin([]byte("still here\n")); err != nil {
		t.Fatal(err)
	}
	wantExit(t, waitExit(t, job), 3)
	if text := output(job); text != "still here\n" {
		t.Fatalf("%q", text)
	}
}

func TestStdin(t *testing.T) {
	table := newTable(t)
	spec := Spec{Argv: []string{"cat"}, Cwd: "/", Stdin: true}
	_, l := startAttached(t, table, spec)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 20_000) // more than the pipes hold
	go func() {
		for at := 0; at < len(sent); at += 100_000 {
			end := at + 100_000
			if end > len(sent) {
				end = len(sent)
			}
			l.send(frames.Stdin, string(sent[at:end]))
		}
		l.send(frames.StdinEnd, "")
	}()
	if out, _ := l.until(frames.Exit); !bytes.Equal(out, sent) {
		t.Fatalf("%d bytes came back of %d", len(out), len(sent))
	}
	out, _, _ := run(t, table, Spec{Argv: []string{"cat"}, Cwd: "/"})
	if out != "" {
		t.Fatalf("without stdin: %q", out)
	}
}

func TestWriterOfUnreadStdinIsReleasedAtTheEnd(t *testing.T) {
	job := start(t, newTable(t), Spec{Argv: []string{"sleep", "1000"}, Cwd: "/", Stdin: true})
	released := make(chan error, 1)
	go func() { released <- job.WriteStdin(make([]byte, 1<<20)) }()
	_ = job.Signal("SIGKILL", true)
	select {
	case err := <-released:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("the writer still waits")
	}
}

func TestNoStdinIsSaid(t *testing.T) {
	job := start(t, newTable(t), sh("sleep 1000"))
	wantCode(t, job.WriteStdin([]byte("x")), fault.InvalidRequest)
	wantCode(t, job.EndStdin(), fault.InvalidRequest)
	wantCode(t, job.Resize(Size{80, 24}), fault.InvalidRequest)
}

func TestBadFramesEndTheStreamWithAnError(t *testing.T) {
	for name, bad := range map[string][]byte{
		"unknown type":   {99, 0, 0, 0, 0},
		"from boxd":      {frames.Stdout, 0, 0, 0, 0},
		"too long":       {frames.Stdin, 0xff, 0xff, 0xff, 0xff},
		"no JSON":        {frames.Signal, 0, 0, 0, 1, '{'},
		"long control":   {frames.Resize, 0, 1, 0, 0},
		"no such signal": append([]byte{frames.Signal, 0, 0, 0, 15}, `{"signal":"BAD"}`[:15]...),
	} {
		t.Run(name, func(t *testing.T) {
			job, l := startAttached(t, newTable(t), Spec{Argv: []string{"cat"}, Cwd: "/", Stdin: true})
			l.until(frames.Started)
			if _, err := l.conn.Write(bad); err != nil {
				t.Fatal(err)
			}
			if _, f := l.until(frames.Error); !strings.Contains(string(f.payload), fault.InvalidRequest) {
				t.Fatalf("%s", f.payload)
			}
			if _, more := l.next(); more {
				t.Fatal("a frame after the error")
			}
			if job.Info().Exit != nil {
				t.Fatal("the command ended with the client")
			}
		})
	}
}

func TestOutputWaitsForTheFirstByteOrTheExit(t *testing.T) {
	spec := sh("read a; echo $a; read b; exit 4")
	spec.Stdin = true
	job := start(t, newTable(t), spec)
	ctx := context.Background()
	if out, err := job.Output(ctx, 0, 100, time.Millisecond, false); err != nil || len(out.Chunks) != 0 || out.Exit != nil {
		t.Fatalf("%s %v", show(out), err)
	}
	results := make(chan Output)
	go func() {
		out, _ := job.Output(ctx, -1, 100, patience, false)
		results <- out
	}()
	_ = job.WriteStdin([]byte("one\n"))
	out := <-results
	if len(out.Chunks) != 1 || string(out.Chunks[0].Base64) != "one\n" || out.NextOffset != 4 || out.Exit != nil {
		t.Fatal(show(out))
	}
	go func() {
		out, _ := job.Output(ctx, 4, 100, patience, false)
		results <- out
	}()
	_ = job.EndStdin()
	if out = <-results; len(out.Chunks) != 0 || out.Exit == nil || *out.Exit.ExitCode != 4 {
		t.Fatal(show(out))
	}
	// The exit comes only with the last byte.
	if out, _ = job.Output(ctx, 0, 2, 0, false); out.NextOffset != 2 || out.Exit != nil {
		t.Fatal(show(out))
	}
	_, err := job.Output(ctx, 5, 100, 0, false)
	wantCode(t, err, fault.InvalidRequest)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	running := start(t, job.table, sh("sleep 1000"))
	if _, err := running.Output(cancelled, 0, 1, patience, false); err == nil {
		t.Fatal("a cancelled read returned without an error")
	}
}

func TestOutputSaysWhatIsLost(t *testing.T) {
	spec := sh("head -c 300000 /dev/zero")
	spec.RingBytes = 4 << 10
	job := start(t, newTable(t), spec)
	waitExit(t, job)
	out, err := job.Output(context.Background(), 100, 1<<20, 0, false)
	if err != nil || out.Lost != job.Info().FirstOffset-100 || out.NextOffset != 300_000 || out.Exit == nil {
		t.Fatalf("%d lost, next %d, %v", out.Lost, out.NextOffset, err)
	}
}
