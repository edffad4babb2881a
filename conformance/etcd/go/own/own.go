// Package own has what drivers need that start servers of their own.
package own

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Check runs one check and prints its line.
func Check(name string, run func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Printf("not ok - %s: %v\n", name, err)
		return false
	}
	fmt.Println("ok -", name)
	return true
}

// Must ends a driver that cannot go on.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

// Server is one that can be killed, and comes back on the same port.
type Server struct {
	Folder, Place string
	More          []string
	Run           *exec.Cmd
}

// Started is a server in a folder of its own.
func Started(more ...string) *Server {
	folder, err := os.MkdirTemp(os.Getenv("SWITCHBOARD_CONFORMANCE_DIR"), "etcd-own")
	Must(err)
	s := &Server{Folder: folder, Place: "127.0.0.1:0", More: more}
	Must(s.Start())
	return s
}

// Start starts it, again after Kill.
func (s *Server) Start() error {
	ports := filepath.Join(s.Folder, "ports")
	os.Remove(ports)
	arguments := append([]string{"serve", "--only", "etcd", "--data-dir", filepath.Join(s.Folder, "data"), "--port-file", ports,
		"--listen", "etcd=" + s.Place}, s.More...)
	s.Run = exec.Command(os.Getenv("SWITCHBOARD_BINARY"), arguments...)
	for _, it := range os.Environ() {
		if !strings.HasPrefix(it, "SWITCHBOARD_") {
			s.Run.Env = append(s.Run.Env, it)
		}
	}
	if err := s.Run.Start(); err != nil {
		return err
	}
	for range 600 {
		time.Sleep(50 * time.Millisecond)
		text, _ := os.ReadFile(ports)
		if _, place, ok := strings.Cut(strings.TrimSpace(string(text)), "etcd="); ok {
			s.Place = strings.Fields(place)[0]
			return nil
		}
	}
	return errors.New("the server does not say where it listens")
}

// Kill ends it at once.
func (s *Server) Kill() {
	s.Run.Process.Kill()
	s.Run.Wait()
}

// Remove ends it and takes its folder away.
func (s *Server) Remove() {
	s.Kill()
	os.RemoveAll(s.Folder)
}

// Dial is a client of it.
func Dial(place, user, password string, secure *tls.Config) (*clientv3.Client, error) {
	scheme := "http://"
	if secure != nil {
		scheme = "https://"
	}
	return clientv3.New(clientv3.Config{Endpoints: []string{scheme + place}, Username: user, Password: password, TLS: secure,
		DialTimeout: 20 * time.Second, Logger: zap.NewNop()})
}

// Want is an error unless it is so.
func Want(so bool, err error) error {
	if err == nil && !so {
		return errors.New("it is not there")
	}
	return err
}
