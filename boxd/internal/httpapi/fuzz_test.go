package httpapi

import "testing"

func FuzzParseRange(f *testing.F) {
	f.Add("bytes=0-4", int64(10))
	f.Add("bytes=-5", int64(0))
	f.Add("bytes=9223372036854775807-", int64(1))
	f.Add("bytes=1-9223372036854775807", int64(5))
	f.Add("bytes=-0", int64(3))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		first, length, partial, err := parseRange(header, size)
		if err != nil {
			return
		}
		if first < 0 || length < 0 || first+length > size || (!partial && length != size) {
			t.Fatalf("%q of %d is %d+%d, partial %v", header, size, first, length, partial)
		}
	})
}
