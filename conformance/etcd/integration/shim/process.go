package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/testutil"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
)

// process is the server that SWITCHBOARD_BINARY names; or a real etcd, if ETCD_BIN names one.
type process struct {
	t       testutil.TB
	address string
	data    string
	command []string
	child   *exec.Cmd
	ended   chan struct{}
	// Members that are open.
	doors atomic.Int32
}

// Long enough for a busy machine.
const patience = 30 * time.Second

func newProcess(t testutil.TB, cfg *ClusterConfig) *process {
	p := &process{t: t, address: free(t), data: filepath.Join(t.TempDir(), "data")}
	if program := os.Getenv("ETCD_BIN"); program != "" {
		p.command = append([]string{program}, theirs(t, p, cfg)...)
	} else {
		p.command = append([]string{os.Getenv("SWITCHBOARD_BINARY")}, ours(t, p, cfg)...)
	}
	return p
}

func ours(t testutil.TB, p *process, cfg *ClusterConfig) []string {
	words := []string{"serve", "--data-dir", p.data, "--only", "etcd", "--listen", "etcd=" + p.address, "--set", "etcd.bcrypt_cost=4"}
	if cfg.MaxTxnOps != 0 {
		words = append(words, "--set", fmt.Sprintf("etcd.max_txn_ops=%d", cfg.MaxTxnOps))
	}
	if cfg.MaxRequestBytes != 0 && cfg.MaxRequestBytes != 1.5*1024*1024 {
		leaveOut(t, "how long a request may be is no setting here")
	}
	if cfg.QuotaBackendBytes != 0 {
		words = append(words, "--set", fmt.Sprintf("etcd.quota_bytes=%d", cfg.QuotaBackendBytes))
	}
	if cfg.AuthToken != "" {
		words = append(words, "--set", "etcd.auth_token="+cfg.AuthToken)
	}
	words = append(words, "--set", fmt.Sprintf("etcd.progress_interval=%dms", progress(cfg).Milliseconds()))
	if tls := cfg.ClientTLS; tls != nil {
		value := fmt.Sprintf("etcd.tls={ certificate = %q, key = %q, client_ca = %q }", tls.CertFile, tls.KeyFile, tls.TrustedCAFile)
		words = append(words, "--set", value)
	}
	return words
}

// Some tests set it for all members that there will be.
func progress(cfg *ClusterConfig) time.Duration {
	if cfg.WatchProgressNotifyInterval != 0 {
		return cfg.WatchProgressNotifyInterval
	}
	return v3rpc.GetProgressReportInterval()
}

func theirs(t testutil.TB, p *process, cfg *ClusterConfig) []string {
	peer, scheme := free(t), "http"
	if cfg.ClientTLS != nil {
		scheme = "https"
	}
	words := []string{
		"--data-dir", p.data, "--log-level", "error", "--bcrypt-cost", "4", "--heartbeat-interval", "10", "--election-timeout", "100",
		"--listen-client-urls", scheme + "://" + p.address, "--advertise-client-urls", scheme + "://" + p.address,
		"--listen-peer-urls", "http://" + peer, "--initial-advertise-peer-urls", "http://" + peer, "--initial-cluster", "default=http://" + peer,
	}
	set := func(name string, value any, isSet bool) {
		if isSet {
			words = append(words, fmt.Sprintf("--%s=%v", name, value))
		}
	}
	set("max-txn-ops", cfg.MaxTxnOps, cfg.MaxTxnOps != 0)
	set("max-request-bytes", cfg.MaxRequestBytes, cfg.MaxRequestBytes != 0)
	set("quota-backend-bytes", cfg.QuotaBackendBytes, cfg.QuotaBackendBytes != 0)
	set("snapshot-count", cfg.SnapshotCount, cfg.SnapshotCount != 0)
	set("auth-token", cfg.AuthToken, cfg.AuthToken != "")
	set("watch-progress-notify-interval", progress(cfg), true)
	set("grpc-keepalive-min-time", cfg.GRPCKeepAliveMinTime, cfg.GRPCKeepAliveMinTime != 0)
	if tls := cfg.ClientTLS; tls != nil {
		set("cert-file", tls.CertFile, true)
		set("key-file", tls.KeyFile, true)
		set("trusted-ca-file", tls.TrustedCAFile, true)
		set("client-cert-auth", true, true)
	}
	return words
}

// start returns when it takes connections.
func (p *process) start(t testutil.TB) {
	log, err := os.OpenFile(p.data+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.child, p.ended = exec.Command(p.command[0], p.command[1:]...), make(chan struct{})
	p.child.Stdout, p.child.Stderr = log, log
	for _, v := range os.Environ() {
		// Both read such variables as their configuration.
		if !strings.HasPrefix(v, "SWITCHBOARD_") && !strings.HasPrefix(v, "ETCD_") {
			p.child.Env = append(p.child.Env, v)
		}
	}
	if err := p.child.Start(); err != nil {
		t.Fatal(err)
	}
	go func(child *exec.Cmd, ended chan struct{}) {
		child.Wait()
		close(ended)
	}(p.child, p.ended)
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", p.address); err == nil {
			c.Close()
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("it did not come up: %s", p.said())
		default:
		}
	}
	p.kill()
	t.Fatalf("it did not come up: %s", p.said())
}

// stop asks it to end, and insists after a while, since clients may hold streams open.
func (p *process) stop() {
	p.child.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(2 * time.Second):
		p.kill()
	}
}

func (p *process) kill() {
	if p.child != nil && p.child.Process != nil {
		p.child.Process.Kill()
		<-p.ended
	}
}

func (p *process) said() string {
	text, _ := os.ReadFile(p.data + ".log")
	return string(text[max(0, len(text)-2000):])
}

// Free a moment ago.
func free(t testutil.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
