package httpapi

import (
	"strconv"
	"strings"

	"gibil.dev/boxd/internal/fault"
)

var errRange = fault.New(fault.InvalidRequest, "The range starts beyond the end of the file.")

// parseRange reads one range of bytes (RFC 9110, section 14). What it cannot read counts as absent, as the RFC says.
func parseRange(header string, size int64) (first, length int64, partial bool, err error) {
	spec := strings.TrimPrefix(header, "bytes=")
	from, to, ok := strings.Cut(spec, "-")
	if header == spec || !ok || strings.Contains(spec, ",") {
		return 0, size, false, nil
	}
	if from == "" { // the last so many bytes
		last, err := strconv.ParseInt(to, 10, 64)
		if err != nil || last < 0 {
			return 0, size, false, nil
		}
		if last == 0 || size == 0 {
			return 0, 0, false, errRange
		}
		if last > size {
			last = size
		}
		return size - last, last, true, nil
	}
	first, err = strconv.ParseInt(from, 10, 64)
	if err != nil || first < 0 {
		return 0, size, false, nil
	}
	end := size - 1
	if to != "" {
		if end, err = strconv.ParseInt(to, 10, 64); err != nil || end < first {
			return 0, size, false, nil
		}
		if end > size-1 {
			end = size - 1
		}
	}
	if first >= size {
		return 0, 0, false, errRange
	}
	return first, end - first + 1, true, nil
}
