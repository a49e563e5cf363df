package ports

import (
	"net"
	"os"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]struct {
		address string
		port    int
	}{
		"0100007F:1F90":                         {"127.0.0.1", 8080},
		"00000000:0016":                         {"0.0.0.0", 22},
		"00000000000000000000000001000000:0BB8": {"::1", 3000},
		"00000000000000000000000000000000:0050": {"::", 80},
		"0000000000000000FFFF00000100007F:0051": {"127.0.0.1", 81},
	} {
		if address, port, ok := parseAddress(text); !ok || address != want.address || port != want.port {
			t.Errorf("%s: %s %d %v", text, address, port, ok)
		}
	}
	for _, text := range []string{"", "0100007F", "0100007:1F90", "xx00007F:1F90", "0100007F:FFFFF"} {
		if _, _, ok := parseAddress(text); ok {
			t.Errorf("%q was read", text)
		}
	}
}

func TestListFindsListenersAndTheirProcess(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("%s: %v", address, err) // no IPv6 here
			continue
		}
		port := listener.Addr().(*net.TCPAddr).Port
		found := find(List("/proc", -1), port)
		if found == nil || found.Address != listener.Addr().(*net.TCPAddr).IP.String() {
			t.Fatalf("%s: %+v", address, found)
		}
		if found.Pid == nil || *found.Pid != os.Getpid() || found.Process == nil || *found.Process == "" {
			t.Fatalf("%+v", found)
		}
		if find(List("/proc", os.Getpid()), port) != nil {
			t.Fatal("boxd's own socket is listed")
		}
		listener.Close()
		if find(List("/proc", -1), port) != nil {
			t.Fatal("a closed port is listed")
		}
	}
}

func find(list []Port, port int) *Port {
	for i := range list {
		if list[i].Port == port {
			return &list[i]
		}
	}
	return nil
}
