package jobs

import (
	"context"
	"testing"
	"time"
)

func TestOutputSaysWhenItWasPrinted(t *testing.T) {
	job := start(t, newTable(t), sh("printf first; sleep 0.3; printf second"))
	waitExit(t, job)
	out, err := job.Output(context.Background(), 0, 1<<20, 0, true)
	if err != nil || len(out.Chunks) != 2 {
		t.Fatalf("got %+v, %v, want two moments", out, err)
	}
	first, second := out.Chunks[0], out.Chunks[1]
	if string(first.Base64) != "first" || string(second.Base64) != "second" || second.Offset != 5 {
		t.Fatalf("got %q and %q at %d", first.Base64, second.Base64, second.Offset)
	}
	if *second.Ms-*first.Ms < 200 {
		t.Fatalf("printed at %d and %d ms", *first.Ms, *second.Ms)
	}
	plain, _ := job.Output(context.Background(), 0, 1<<20, 0, false)
	if len(plain.Chunks) != 1 || plain.Chunks[0].Ms != nil {
		t.Fatalf("got %+v where no times were asked for", plain)
	}
}

func TestTimesAreBounded(t *testing.T) {
	var kept times
	for i := int64(0); i < 5*maxMarks; i++ {
		kept.note(i, time.Duration(i)*markEvery, 0)
	}
	if len(kept.marks) > maxMarks {
		t.Fatalf("%d marks are kept", len(kept.marks))
	}
	for _, offset := range []int64{0, 1, 777, 5*maxMarks - 1} {
		ms, until := kept.of(offset)
		want := offset * markEvery.Milliseconds()
		if ms > want || want-ms >= kept.every.Milliseconds() || until != 0 && until <= offset {
			t.Fatalf("byte %d: %d ms until %d, every %v", offset, ms, until, kept.every)
		}
	}
}

func TestTimesOfOverwrittenBytesGoFirst(t *testing.T) {
	var kept times
	for i := int64(0); i < 3*maxMarks; i++ {
		kept.note(i, time.Duration(i)*markEvery, i-100)
	}
	if kept.every != markEvery {
		t.Fatalf("marks are %v apart", kept.every)
	}
	if ms, until := kept.of(3*maxMarks - 5); ms != (3*maxMarks-5)*markEvery.Milliseconds() || until != 3*maxMarks-4 {
		t.Fatalf("got %d ms until %d", ms, until)
	}
}
