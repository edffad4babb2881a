package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A server of our own that can be killed and started again on what it has kept.
type process struct {
	endpoint string
	command  []string
	data     string
	child    *exec.Cmd
}

// Those that are to be ended however this ends.
var started []*process

func fatal(err error) {
	fmt.Println("not ok - oracle:", err)
	for _, p := range started {
		p.end()
	}
	os.Exit(1)
}

func (p *process) start() {
	p.child = exec.Command(p.command[0], p.command[1:]...)
	for _, v := range os.Environ() {
		// Ours reads such variables as its configuration.
		if !strings.HasPrefix(v, "SWITCHBOARD_") {
			p.child.Env = append(p.child.Env, v)
		}
	}
	if err := p.child.Start(); err != nil {
		fatal(err)
	}
	if len(started) < 2 {
		started = append(started, p)
	}
	for i := 0; i < 600; i++ {
		if c, err := net.Dial("tcp", p.endpoint); err == nil {
			c.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	fatal(fmt.Errorf("%s did not come up", p.command[0]))
}

func (p *process) kill() {
	p.child.Process.Kill()
	p.child.Wait()
}

func (p *process) end() {
	p.kill()
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
		fatal(err)
	}
	return folder
}

// The real one that ETCD_BIN names, or one that is built from its published modules in ../real.
func realServer() *process {
	binary := os.Getenv("ETCD_BIN")
	if binary == "" {
		binary = filepath.Join(scratch(), "real-etcd")
		build := exec.Command("go", "build", "-mod=readonly", "-o", binary, "go.etcd.io/etcd/server/v3")
		build.Dir = filepath.Join("..", "real")
		build.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOFLAGS=")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Printf("skip - oracle: a real etcd cannot be built: %v %s\n", err, strings.ReplaceAll(string(out), "\n", " "))
			os.Exit(0)
		}
	}
	folder, client, peer := data("real-etcd-data-"), free(), free()
	return &process{endpoint: client, data: folder, command: []string{binary, "--data-dir", folder, "--log-level", "error",
		"--listen-client-urls", "http://" + client, "--advertise-client-urls", "http://" + client, "--listen-peer-urls", "http://" + peer}}
}

func ourServer() *process {
	folder, client := data("oracle-data-"), free()
	return &process{endpoint: client, data: folder, command: []string{os.Getenv("SWITCHBOARD_BINARY"), "serve", "--data-dir", folder,
		"--only", "etcd", "--listen", "etcd=" + client}}
}

// Free a moment ago.
func free() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
