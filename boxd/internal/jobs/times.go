package jobs

import "time"

const (
	// markEvery is how exact times are at first. A command that prints for days has them as far apart as maxMarks allows.
	markEvery = 10 * time.Millisecond
	maxMarks  = 8192
)

// mark says that the byte at an offset, and what follows it until the next mark, was read so long after the command began.
type mark struct {
	offset int64
	at     time.Duration
}

// times keeps when the bytes in a ring were read: a recording is true to time also when nobody listened meanwhile.
type times struct {
	marks []mark
	every time.Duration
}

// note is called before bytes are put at an offset; first is the oldest that is kept.
func (t *times) note(offset int64, at time.Duration, first int64) {
	if t.every == 0 {
		t.every = markEvery
	}
	if last := len(t.marks) - 1; last >= 0 && at-t.marks[last].at < t.every {
		return
	}
	if len(t.marks) == maxMarks {
		t.makeRoom(first)
	}
	t.marks = append(t.marks, mark{offset, at})
}

// makeRoom forgets marks of bytes that are overwritten, and where that is not much, every second one.
func (t *times) makeRoom(first int64) {
	if gone := t.at(first); gone > maxMarks/4 {
		t.marks = t.marks[:copy(t.marks, t.marks[gone:])]
		return
	}
	kept := t.marks[:0]
	for i := 0; i < len(t.marks); i += 2 {
		kept = append(kept, t.marks[i])
	}
	t.marks = kept
	t.every *= 2
}

// at finds the mark that an offset belongs to; 0 when it is before all of them.
func (t *times) at(offset int64) int {
	low, high := 0, len(t.marks)
	for high-low > 1 {
		if middle := (low + high) / 2; t.marks[middle].offset <= offset {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// of says when the byte at an offset was read, in milliseconds, and where bytes of another time begin; 0 when none do.
func (t *times) of(offset int64) (ms int64, until int64) {
	if len(t.marks) == 0 {
		return 0, 0
	}
	i := t.at(offset)
	if i+1 < len(t.marks) {
		until = t.marks[i+1].offset
	}
	return t.marks[i].at.Milliseconds(), until
}
