// Package testserver stands where Kubernetes has one of the same name, and starts the registry instead of an etcd.
package testserver

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/server/v3/embed"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
)

// patience is how long a server may take to start on a loaded machine.
const patience = 60 * time.Second

// NewTestConfig gives what tests change: the interval of progress notices, and certificates.
func NewTestConfig(t testing.TB) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Dir = t.TempDir()
	return cfg
}

// RunEtcd starts a registry with nothing in it, which ends with the test, and connects to it.
func RunEtcd(t testing.TB, cfg *embed.Config) *kubernetes.Client {
	t.Helper()
	if cfg == nil {
		cfg = NewTestConfig(t)
	}
	tls, err := cfg.ClientTLSInfo.ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	scheme := "http"
	if tls != nil && !cfg.ClientTLSInfo.Empty() {
		scheme = "https"
	} else {
		tls = nil
	}
	client, err := kubernetes.New(clientv3.Config{
		TLS:         tls,
		Endpoints:   []string{fmt.Sprintf("%s://localhost:%s", scheme, serve(t, cfg))},
		DialTimeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	recorder := storagetesting.NewKubernetesRecorder(client.Kubernetes)
	client.KV = storagetesting.NewKVRecorder(client.KV, recorder)
	client.Kubernetes = recorder
	return client
}

// serve gives the port at which it listens.
func serve(t testing.TB, cfg *embed.Config) string {
	t.Helper()
	ports := filepath.Join(cfg.Dir, "ports")
	words := []string{
		"serve", "--only", "etcd", "--listen", "etcd=127.0.0.1:0", "--data-dir", filepath.Join(cfg.Dir, "data"), "--port-file", ports,
		"--set", fmt.Sprintf("etcd.progress_interval=%dms", cfg.WatchProgressNotifyInterval.Milliseconds()),
	}
	if tls := cfg.ClientTLSInfo; !tls.Empty() {
		words = append(words, "--set", fmt.Sprintf("etcd.tls={ certificate = %q, key = %q, client_ca = %q }", tls.CertFile, tls.KeyFile, tls.TrustedCAFile))
	}
	log, err := os.Create(filepath.Join(cfg.Dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(os.Getenv("SWITCHBOARD_BINARY"), words...)
	server.Stdout, server.Stderr = log, log
	// It reads such variables as its configuration; those of the tests are not meant for it.
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "SWITCHBOARD_") {
			server.Env = append(server.Env, variable)
		}
	}
	// A test that panics ends without clean-up.
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		_ = log.Close()
	})
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if port := listening(ports); port != "" {
			return port
		}
	}
	said, _ := os.ReadFile(log.Name())
	t.Fatalf("the registry did not start: %s", said)
	return ""
}

func listening(ports string) string {
	text, _ := os.ReadFile(ports)
	for line := range strings.Lines(string(text)) {
		if address, ok := strings.CutPrefix(strings.TrimSpace(line), "etcd="); ok {
			if _, port, err := net.SplitHostPort(address); err == nil {
				return port
			}
		}
	}
	return ""
}
