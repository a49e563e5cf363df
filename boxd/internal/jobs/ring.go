package jobs

import "math/bits"

const (
	ringFirstBytes = 4 << 10
	ringUnit       = 4 << 10
)

// ring keeps the last bytes of a command's output and which of the two streams each came from. It grows from a few KiB to its
// limit as it is needed. Offsets count from the first byte the command ever printed.
//
// A view of bytes stays as it is until those bytes are overwritten, also when the ring grows in the meantime.
type ring struct {
	buf []byte
	// tags holds one bit a byte, set for stderr; nil until the first byte of stderr.
	tags  []uint64
	limit int
	first int64
	next  int64
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

func newRing(limit int) *ring {
	limit = roundUp(limit, ringUnit)
	size := ringFirstBytes
	if size > limit {
		size = limit
	}
	return &ring{buf: make([]byte, size), limit: limit}
}

// region is where the next bytes go: at most max, in one piece. What it holds is overwritten only as far as commit says.
func (r *ring) region(max int) []byte {
	if max <= 0 {
		return nil
	}
	if int(r.next-r.first) == len(r.buf) && len(r.buf) < r.limit {
		r.resize(len(r.buf) * 4)
	}
	start := int(r.next % int64(len(r.buf)))
	end := len(r.buf)
	if len(r.buf) < r.limit {
		// Not yet at its full size: nothing may be overwritten, so only free bytes are given.
		if free := len(r.buf) - int(r.next-r.first); end-start > free {
			end = start + free
		}
	}
	if end-start > max {
		end = start + max
	}
	return r.buf[start:end]
}

// commit says that n bytes of the last region were filled from a stream.
func (r *ring) commit(stderr bool, n int) {
	if stderr && r.tags == nil {
		r.tags = make([]uint64, roundUp(len(r.buf), 64)/64)
	}
	if r.tags != nil {
		start := int(r.next % int64(len(r.buf)))
		setBits(r.tags, start, start+n, stderr)
	}
	r.next += int64(n)
	if kept := int64(len(r.buf)); r.next-r.first > kept {
		r.first = r.next - kept
	}
}

// view gives the bytes of one stream at an offset that is kept: at most max, in one piece.
func (r *ring) view(offset int64, max int) (stderr bool, data []byte) {
	start := int(offset % int64(len(r.buf)))
	end := len(r.buf)
	if left := int(r.next - offset); end-start > left {
		end = start + left
	}
	if end-start > max {
		end = start + max
	}
	if r.tags != nil {
		stderr = r.tags[start/64]>>(start%64)&1 == 1
		end = runEnd(r.tags, start, end, stderr)
	}
	return stderr, r.buf[start:end:end]
}

// extend lets the ring hold so many bytes more.
func (r *ring) extend(bytes int) {
	r.limit = roundUp(r.limit+bytes, ringUnit)
}

// shrink gives back what is not in use.
func (r *ring) shrink() {
	if used := int(r.next - r.first); roundUp(used, 64) < len(r.buf) {
		r.limit = roundUp(used, 64)
		r.resize(r.limit)
	}
}

// drop forgets all bytes.
func (r *ring) drop() {
	r.first = r.next
	r.buf, r.tags, r.limit = nil, nil, 0
}

func (r *ring) bytes() int { return len(r.buf) + len(r.tags)*8 }

func (r *ring) resize(size int) {
	if size > r.limit {
		size = r.limit
	}
	if size == len(r.buf) {
		return
	}
	old := *r
	r.buf = make([]byte, size)
	r.tags = nil
	r.next = r.first
	for r.next < old.next {
		stderr, data := old.view(r.next, size)
		for len(data) > 0 {
			start := int(r.next % int64(size))
			n := copy(r.buf[start:], data)
			r.commit(stderr, n)
			data = data[n:]
		}
	}
}

func setBits(words []uint64, from, to int, on bool) {
	for from < to {
		word, low := from/64, from%64
		high := 64
		if to-from < 64-low {
			high = low + to - from
		}
		mask := ^uint64(0) << low
		if high < 64 {
			mask &= 1<<high - 1
		}
		if on {
			words[word] |= mask
		} else {
			words[word] &^= mask
		}
		from += high - low
	}
}

// runEnd finds the first position in [from, to) whose bit differs from on, or to.
func runEnd(words []uint64, from, to int, on bool) int {
	for from < to {
		word := words[from/64]
		if on {
			word = ^word
		}
		if rest := word >> (from % 64); rest != 0 {
			if from += bits.TrailingZeros64(rest); from > to {
				return to
			}
			return from
		}
		from = (from/64 + 1) * 64
	}
	return to
}
