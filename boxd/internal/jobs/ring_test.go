package jobs

import (
	"bytes"
	"math/rand"
	"testing"
)

// model is the ring in the simplest form that can be right: every byte ever written.
type model struct {
	data   []byte
	stderr []bool
}

func (m *model) check(t *testing.T, r *ring) {
	t.Helper()
	if r.next != int64(len(m.data)) {
		t.Fatalf("next is %d, want %d", r.next, len(m.data))
	}
	for at := r.first; at < r.next; {
		stderr, view := r.view(at, 1<<20)
		if len(view) == 0 {
			t.Fatalf("an empty view at %d", at)
		}
		if !bytes.Equal(view, m.data[at:at+int64(len(view))]) {
			t.Fatalf("wrong bytes at %d", at)
		}
		for i := range view {
			if m.stderr[at+int64(i)] != stderr {
				t.Fatalf("byte %d is of the wrong stream", at+int64(i))
			}
		}
		at += int64(len(view))
	}
}

func fillRing(r *ring, m *model, random *rand.Rand, n int, stderr bool) {
	for n > 0 {
		region := r.region(n)
		used := 1 + random.Intn(len(region))
		random.Read(region[:used])
		m.data = append(m.data, region[:used]...)
		for i := 0; i < used; i++ {
			m.stderr = append(m.stderr, stderr)
		}
		r.commit(stderr, used)
		n -= used
	}
}

func TestRingKeepsTheLastBytesAndTheirStreams(t *testing.T) {
	for seed := int64(0); seed < 40; seed++ {
		random := rand.New(rand.NewSource(seed))
		limit := 1 + random.Intn(64<<10)
		r, m := newRing(limit), &model{}
		for step := 0; step < 60; step++ {
			size := 1 + random.Intn(9000)
			if random.Intn(3) == 0 {
				size = 1 + random.Intn(5)
			}
			fillRing(r, m, random, size, random.Intn(3) == 0)
			m.check(t, r)
			if want := int64(limit); r.next-r.first < want && r.first > 0 {
				t.Fatalf("only %d of %d bytes are kept", r.next-r.first, want)
			}
		}
		first := r.first
		r.extend(10_000)
		fillRing(r, m, random, 10_000, true)
		m.check(t, r)
		if r.first != first {
			t.Fatalf("an extended ring overwrote %d bytes", r.first-first)
		}
		r.shrink()
		m.check(t, r)
	}
}

func TestRingStartsSmallAndShrinks(t *testing.T) {
	r := newRing(16 << 20)
	if r.bytes() > ringFirstBytes {
		t.Fatalf("a new ring takes %d bytes", r.bytes())
	}
	r.commit(false, copy(r.region(100), "hello"))
	r.shrink()
	if _, data := r.view(0, 100); string(data) != "hello" || r.bytes() > 64 {
		t.Fatalf("%q in %d bytes", data, r.bytes())
	}
	r.drop()
	if r.first != 5 || r.next != 5 || r.bytes() != 0 {
		t.Fatalf("dropped: %d to %d in %d bytes", r.first, r.next, r.bytes())
	}
}

func TestRingViewStaysWhileItGrows(t *testing.T) {
	r := newRing(1 << 20)
	r.commit(false, copy(r.region(4096), bytes.Repeat([]byte("a"), 4096)))
	_, view := r.view(0, 4096)
	for r.next < 1<<20 {
		region := r.region(4096)
		for i := range region {
			region[i] = 'b'
		}
		r.commit(true, len(region))
	}
	if !bytes.Equal(view, bytes.Repeat([]byte("a"), 4096)) {
		t.Fatal("a view changed while its bytes were still kept")
	}
}
