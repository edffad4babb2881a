package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// One that can be killed, and comes back on the same port. What other drivers have for this wants a newer client than the
// frameworks come with.
type server struct {
	folder, place string
	run           *exec.Cmd
}

func (s *server) start() error {
	ports := filepath.Join(s.folder, "ports")
	os.Remove(ports)
	s.run = exec.Command(os.Getenv("SWITCHBOARD_BINARY"), "serve", "--only", "etcd", "--data-dir", filepath.Join(s.folder, "data"),
		"--port-file", ports, "--listen", "etcd="+s.place)
	for _, it := range os.Environ() {
		if !strings.HasPrefix(it, "SWITCHBOARD_") {
			s.run.Env = append(s.run.Env, it)
		}
	}
	if err := s.run.Start(); err != nil {
		return err
	}
	for range 600 {
		time.Sleep(50 * time.Millisecond)
		text, _ := os.ReadFile(ports)
		if _, place, ok := strings.Cut(string(text), "etcd="); ok {
			s.place = strings.Fields(place)[0]
			return nil
		}
	}
	return errors.New("the server does not say where it listens")
}

func (s *server) kill() {
	s.run.Process.Kill()
	s.run.Wait()
}

func started() (*server, error) {
	folder, err := os.MkdirTemp(os.Getenv("SWITCHBOARD_CONFORMANCE_DIR"), "etcd-frameworks")
	if err != nil {
		return nil, err
	}
	s := &server{folder: folder, place: "127.0.0.1:0"}
	return s, s.start()
}

func (s *server) remove() {
	s.kill()
	os.RemoveAll(s.folder)
}
