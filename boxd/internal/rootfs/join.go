package rootfs

import "strings"

// rule splits a text into entries and says what makes two of them the same.
type rule struct {
	separator string
	key       func(entry string) string
}

var (
	byFirstField = rule{"\n", func(line string) string { name, _, _ := strings.Cut(line, ":"); return name }}
	byLine       = rule{"\n", func(line string) string { return line }}
	byPackage    = rule{"\n\n", packageOf}
)

func packageOf(stanza string) string {
	for _, line := range strings.Split(stanza, "\n") {
		if name := strings.TrimPrefix(line, "Package: "); name != line {
			return name
		}
	}
	return stanza
}

// join is the entries of the one text and those of the other that it has no entry for.
func (r rule) join(text, other string) string {
	entries := r.entries(text)
	known := map[string]bool{}
	for _, one := range entries {
		known[r.key(one)] = true
	}
	for _, one := range r.entries(other) {
		if !known[r.key(one)] {
			entries = append(entries, one)
		}
	}
	return strings.Join(entries, r.separator) + r.separator
}

func (r rule) entries(text string) []string {
	found := []string{}
	for _, one := range strings.Split(text, r.separator) {
		if one = strings.Trim(one, "\n"); one != "" {
			found = append(found, one)
		}
	}
	return found
}
