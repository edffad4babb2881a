// Package servers starts a real etcd and ours, to be killed and started again.
package servers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Process is a server that can be killed and started again on what it has kept.
type Process struct {
	Endpoint string
	command  []string
	data     string
	child    *exec.Cmd
}

// Those that are to be ended however this ends.
var started []*Process

// Fatal ends everything.
func Fatal(err error) {
	fmt.Println("not ok -", err)
	for _, p := range started {
		p.End()
	}
	os.Exit(1)
}

// Start returns when it listens.
func (p *Process) Start() {
	p.child = exec.Command(p.command[0], p.command[1:]...)
	for _, v := range os.Environ() {
		// Ours reads such variables as its configuration.
		if !strings.HasPrefix(v, "SWITCHBOARD_") {
			p.child.Env = append(p.child.Env, v)
		}
	}
	if err := p.child.Start(); err != nil {
		Fatal(err)
	}
	if !slices.Contains(started, p) {
		started = append(started, p)
	}
	for i := 0; i < 600; i++ {
		if c, err := net.Dial("tcp", p.Endpoint); err == nil {
			c.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	Fatal(fmt.Errorf("%s did not come up", p.command[0]))
}

// Kill tells it nothing.
func (p *Process) Kill() {
	p.child.Process.Kill()
	p.child.Wait()
}

// End takes its data away, too.
func (p *Process) End() {
	p.Kill()
	os.RemoveAll(p.data)
}

func scratch() string {
	if folder := os.Getenv("SWITCHBOARD_CONFORMANCE_DIR"); folder != "" {
		return folder
	}
	return os.TempDir()
}

func data(name string) string {
	folder, err := os.MkdirTemp(scratch(), name)
	if err != nil {
		Fatal(err)
	}
	return folder
}

// Real is the one that ETCD_BIN names, or one that is built from its published modules in ../real.
func Real() *Process {
	binary := os.Getenv("ETCD_BIN")
	if binary == "" {
		binary = filepath.Join(scratch(), "real-etcd")
		build := exec.Command("go", "build", "-mod=readonly", "-o", binary, "go.etcd.io/etcd/server/v3")
		build.Dir = filepath.Join("..", "real")
		build.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOFLAGS=")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Printf("skip - a real etcd cannot be built: %v %s\n", err, strings.ReplaceAll(string(out), "\n", " "))
			os.Exit(0)
		}
	}
	folder, client, peer := data("real-etcd-data-"), free(), free()
	return &Process{Endpoint: client, data: folder, command: []string{binary, "--data-dir", folder, "--log-level", "error",
		"--listen-client-urls", "http://" + client, "--advertise-client-urls", "http://" + client, "--listen-peer-urls", "http://" + peer}}
}

// Ours is the one that SWITCHBOARD_BINARY names.
func Ours() *Process {
	folder, client := data("ours-data-"), free()
	return &Process{Endpoint: client, data: folder, command: []string{os.Getenv("SWITCHBOARD_BINARY"), "serve", "--data-dir", folder,
		"--only", "etcd", "--listen", "etcd=" + client}}
}

// Free a moment ago.
func free() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
