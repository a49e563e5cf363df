package netns

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gibil.dev/hostkit/internal/hosttest"
	"gibil.dev/hostkit/internal/netlink"
)

func network(number int) Network {
	tag := fmt.Sprintf("hkt%d-%d", os.Getpid()%10000, number)
	return Network{Netns: "hostkit-test-" + tag, Host: tag, Guest: "eth0", GuestAddress: fmt.Sprintf("10.99.97.%d", number+2),
		Gateway: "10.99.97.1", MAC: fmt.Sprintf("02:00:00:00:01:%02x", number), MTU: 1500}
}

// left is what is on the host of a network.
func left(t *testing.T, n Network) string {
	t.Helper()
	found := []string{}
	if _, err := net.InterfaceByName(n.Host); err == nil {
		found = append(found, "link "+n.Host)
	}
	if _, err := os.Lstat("/sys/class/net/" + n.Host); err == nil {
		found = append(found, "directory of "+n.Host)
	}
	if _, err := os.Lstat(dir + "/" + n.Netns); err == nil {
		found = append(found, "namespace "+n.Netns)
	}
	return strings.Join(found, ", ")
}

func TestManyNetworksComeAndGo(t *testing.T) {
	hosttest.Root(t)
	var group sync.WaitGroup
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func(n Network) {
			defer group.Done()
			defer Destroy(n.Netns, n.Host)
			for round := 0; round < 4; round++ {
				if err := Create(n); err != nil {
					t.Error(err)
					return
				}
				p, err := n.parse()
				if err != nil || !complete(p) {
					t.Errorf("%s is not complete (%v)", n.Netns, err)
				}
				if err := Destroy(n.Netns, n.Host); err != nil {
					t.Error(err)
				}
				if found := left(t, n); found != "" {
					t.Error("left:", found)
				}
			}
		}(network(i))
	}
	group.Wait()
}

func TestACallForTheSameNetworkChangesNothing(t *testing.T) {
	hosttest.Root(t)
	n := network(20)
	defer Destroy(n.Netns, n.Host)
	var indexes [6]int
	var group sync.WaitGroup
	for i := range indexes {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			if err := Create(n); err != nil {
				t.Error(err)
				return
			}
			if link, err := net.InterfaceByName(n.Host); err == nil {
				indexes[i] = link.Index
			}
		}(i)
	}
	group.Wait()
	for _, index := range indexes {
		if index == 0 || index != indexes[0] {
			t.Fatalf("made more than once: %v", indexes)
		}
	}
}

func TestOnlyAName(t *testing.T) {
	hosttest.Root(t)
	n := network(21)
	defer Destroy(n.Netns, n.Host)
	// The remains of `ip netns add` killed midway: an empty file.
	if err := shareDir(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/"+n.Netns, nil, 0o444); err != nil {
		t.Fatal(err)
	}
	if err := Create(n); err != nil {
		t.Fatal(err)
	}
	if there, err := isNamespace(n.Netns); err != nil || !there {
		t.Errorf("%v %v", there, err)
	}
	// And only a link.
	if err := forget(n.Netns); err != nil {
		t.Fatal(err)
	}
	if err := Destroy("", n.Host); err != nil {
		t.Fatal(err)
	}
	if found := left(t, n); found != "" {
		t.Error("left:", found)
	}
}

func TestNamesThatAreNone(t *testing.T) {
	for name, change := range map[string]func(*Network){
		"path":         func(n *Network) { n.Netns = "../x" },
		"dots":         func(n *Network) { n.Netns = ".." },
		"empty":        func(n *Network) { n.Netns = "" },
		"long link":    func(n *Network) { n.Host = "sixteen-letters-" },
		"link path":    func(n *Network) { n.Host = "a/b" },
		"link blank":   func(n *Network) { n.Guest = "a b" },
		"ipv6 address": func(n *Network) { n.GuestAddress = "::1" },
		"no gateway":   func(n *Network) { n.Gateway = "gateway" },
		"mac":          func(n *Network) { n.MAC = "02:00" },
		"mtu":          func(n *Network) { n.MTU = 67 },
	} {
		n := network(22)
		change(&n)
		if err := Create(n); err == nil {
			t.Errorf("%s passes", name)
			_ = Destroy(n.Netns, n.Host)
		}
	}
	for _, pair := range [][2]string{{"../x", ""}, {"", "../x"}} {
		if err := Destroy(pair[0], pair[1]); err == nil {
			t.Errorf("%v passes", pair)
		}
	}
}

func TestRenamesALinkThatGoesOnRouting(t *testing.T) {
	hosttest.Root(t)
	n := network(60)
	defer Destroy(n.Netns, n.Host)
	if err := Create(n); err != nil {
		t.Fatal(err)
	}
	renaming := Renaming{From: n.Host, To: n.Host + "x", GuestAddress: n.GuestAddress}
	defer Destroy("", renaming.To)
	for _, times := range []string{"once", "again"} {
		if err := Rename(renaming); err != nil {
			t.Fatal(times, err)
		}
		if _, err := net.InterfaceByName(n.Host); err == nil {
			t.Error("the old name is still there")
		}
		// Refused by the kernel at the other end: so it was reached.
		if _, err := net.DialTimeout("tcp", n.GuestAddress+":9", 5*time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("the box cannot be reached %s: %v", times, err)
		}
	}
	if err := Rename(Renaming{From: "gibil-none", To: "gibil-none2", GuestAddress: n.GuestAddress}); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("a link that is not there: %v", err)
	}
}

func TestWithdrawsALinkThatItsHolderKeeps(t *testing.T) {
	hosttest.Root(t)
	command := exec.Command("sleep", "1000")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Wait()
	defer command.Process.Kill()
	name := network(61).Host
	tap, err := netlink.Tap(name, 1500)
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	if err := Withdraw(Withdrawal{Host: name, Pid: os.Getpid()}); err == nil {
		t.Error("it is withdrawn to the host itself")
	}
	for _, times := range []string{"once", "again"} {
		if err := Withdraw(Withdrawal{Host: name, Pid: command.Process.Pid}); err != nil {
			t.Fatal(times, err)
		}
		if _, err := net.InterfaceByName(name); err == nil {
			t.Error("the host still has it")
		}
	}
	there, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", command.Process.Pid))
	if err != nil || !strings.Contains(string(there), name) {
		t.Errorf("it is not with the process: %s (%v)", there, err)
	}
}
