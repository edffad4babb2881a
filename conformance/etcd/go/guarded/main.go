// etcd's own Go client as a user: with a password, over a restart, and with a certificate.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"
)

func check(name string, run func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Printf("not ok - %s: %v\n", name, err)
		return false
	}
	fmt.Println("ok -", name)
	return true
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// A server of its own, which can be killed and comes back on the same port.
type server struct {
	folder, place string
	more          []string
	run           *exec.Cmd
}

func (s *server) start() error {
	ports := filepath.Join(s.folder, "ports")
	os.Remove(ports)
	arguments := append([]string{"serve", "--only", "etcd", "--data-dir", filepath.Join(s.folder, "data"), "--port-file", ports,
		"--listen", "etcd=" + s.place}, s.more...)
	s.run = exec.Command(os.Getenv("SWITCHBOARD_BINARY"), arguments...)
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
		if _, place, ok := strings.Cut(strings.TrimSpace(string(text)), "etcd="); ok {
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

func dial(place, user, password string, secure *tls.Config) (*clientv3.Client, error) {
	scheme := "http://"
	if secure != nil {
		scheme = "https://"
	}
	return clientv3.New(clientv3.Config{Endpoints: []string{scheme + place}, Username: user, Password: password, TLS: secure,
		DialTimeout: 20 * time.Second, Logger: zap.NewNop()})
}

// Root, and a user who may read and write `mine/` and read `ours/`.
func accounts(ctx context.Context, c *clientv3.Client) error {
	for _, name := range []string{"root", "u"} {
		if _, err := c.UserAdd(ctx, name, name); err != nil {
			return err
		}
		if _, err := c.RoleAdd(ctx, name); err != nil {
			return err
		}
		if _, err := c.UserGrantRole(ctx, name, name); err != nil {
			return err
		}
	}
	for prefix, kind := range map[string]clientv3.PermissionType{"mine/": clientv3.PermissionType(clientv3.PermReadWrite), "ours/": clientv3.PermissionType(clientv3.PermRead)} {
		if _, err := c.RoleGrantPermission(ctx, "u", prefix, clientv3.GetPrefixRangeEnd(prefix), kind); err != nil {
			return err
		}
	}
	_, err := c.AuthEnable(ctx)
	return err
}

func denied(what string, err error) error {
	if !errors.Is(err, rpctypes.ErrPermissionDenied) {
		return fmt.Errorf("%s: %v, not %v", what, err, rpctypes.ErrPermissionDenied)
	}
	return nil
}

func asUser(ctx context.Context, c *clientv3.Client) error {
	if _, err := c.Put(ctx, "mine/a", "1"); err != nil {
		return err
	}
	if _, err := c.Get(ctx, "ours/", clientv3.WithPrefix()); err != nil {
		return err
	}
	_, e1 := c.Put(ctx, "ours/a", "1")
	_, e2 := c.Get(ctx, "", clientv3.WithFromKey())
	_, e3 := c.Txn(ctx).Then(clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpGet("theirs")}, nil)).Commit()
	_, e4 := c.RoleList(ctx)
	_, e5 := c.Compact(ctx, 2)
	_, e6 := c.UserGet(ctx, "u")
	if err := errors.Join(denied("write", e1), denied("everything", e2), denied("nested", e3), denied("roles", e4), denied("compact", e5), e6); err != nil {
		return err
	}
	w := <-c.Watch(ctx, "mine/", clientv3.WithFromKey())
	if !w.Canceled || w.Err() == nil || !strings.Contains(w.Err().Error(), "permission denied") {
		return fmt.Errorf("a watch of too much: %+v %v", w, w.Err())
	}
	told := c.Watch(ctx, "mine/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	if w := <-told; !w.Created {
		return fmt.Errorf("a watch of its own: %+v %v", w, w.Err())
	}
	session, err := concurrency.NewSession(c, concurrency.WithTTL(10))
	if err != nil {
		return err
	}
	defer session.Close()
	mutex := concurrency.NewMutex(session, "mine/lock")
	return errors.Join(mutex.Lock(ctx), mutex.Unlock(ctx))
}

func passwords(s *server) func(context.Context) error {
	return func(ctx context.Context) error {
		nobody, err := dial(s.place, "", "", nil)
		if err != nil {
			return err
		}
		defer nobody.Close()
		if err := accounts(ctx, nobody); err != nil {
			return err
		}
		if _, err := nobody.Get(ctx, "a"); !errors.Is(err, rpctypes.ErrUserEmpty) {
			return fmt.Errorf("without a user: %v", err)
		}
		if _, err := dial(s.place, "u", "guess", nil); !errors.Is(err, rpctypes.ErrAuthFailed) {
			return fmt.Errorf("with a wrong password: %v", err)
		}
		user, err := dial(s.place, "u", "u", nil)
		if err != nil {
			return err
		}
		defer user.Close()
		return asUser(ctx, user)
	}
}

// The client signs in again by itself: its token was kept in memory only, and the user was not.
func restart(s *server) func(context.Context) error {
	return func(ctx context.Context) error {
		user, err := dial(s.place, "u", "u", nil)
		if err != nil {
			return err
		}
		defer user.Close()
		if _, err := user.Put(ctx, "mine/b", "1"); err != nil {
			return err
		}
		s.kill()
		if err := s.start(); err != nil {
			return err
		}
		for ctx.Err() == nil {
			if _, err = user.Put(ctx, "mine/b", "2"); err == nil || !strings.Contains(err.Error(), "connect") {
				break
			}
		}
		_, other := user.Put(ctx, "theirs", "2")
		return errors.Join(err, denied("write", other))
	}
}

// Signs certificates for this machine.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
}

func signed(by *authority, name string) ([]byte, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(err)
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{Organization: []string{"conformance"}, CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	parent, signer := template, key
	if by == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
	} else {
		parent, signer = by.certificate, by.key
	}
	made, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	must(err)
	return made, key
}

func newAuthority() *authority {
	made, key := signed(nil, "authority")
	certificate, err := x509.ParseCertificate(made)
	must(err)
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return &authority{certificate, key, pool}
}

func (a *authority) client(name string) *tls.Config {
	made, key := signed(a, name)
	return &tls.Config{RootCAs: a.pool, Certificates: []tls.Certificate{{Certificate: [][]byte{made}, PrivateKey: key}}}
}

func (a *authority) server(folder string) string {
	made, key := signed(a, "server")
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(folder, name)
		must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600))
		return path
	}
	return fmt.Sprintf("etcd.tls={ certificate = %q, key = %q, client_ca = %q }", write("server.pem", "CERTIFICATE", made),
		write("server.key", "PRIVATE KEY", der), write("ca.pem", "CERTIFICATE", a.certificate.Raw))
}

func certificates(ctx context.Context) error {
	folder, err := os.MkdirTemp(os.Getenv("SWITCHBOARD_CONFORMANCE_DIR"), "etcd-tls")
	must(err)
	defer os.RemoveAll(folder)
	ours := newAuthority()
	s := &server{folder: folder, place: "127.0.0.1:0", more: []string{"--set", ours.server(folder)}}
	must(s.start())
	defer s.kill()
	root, err := dial(s.place, "", "", ours.client("root"))
	if err != nil {
		return err
	}
	defer root.Close()
	if err := accounts(ctx, root); err != nil {
		return err
	}
	if _, err := root.Put(ctx, "theirs", "1"); err != nil {
		return fmt.Errorf("as root: %w", err)
	}
	user, err := dial(s.place, "", "", ours.client("u"))
	if err != nil {
		return err
	}
	defer user.Close()
	if err := asUser(ctx, user); err != nil {
		return fmt.Errorf("as user: %w", err)
	}
	short, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	stranger, err := dial(s.place, "", "", &tls.Config{RootCAs: ours.pool})
	if err != nil {
		return err
	}
	defer stranger.Close()
	if _, err := stranger.Get(short, "mine/a"); err == nil {
		return errors.New("somebody without a certificate was let in")
	}
	return nil
}

func main() {
	folder, err := os.MkdirTemp(os.Getenv("SWITCHBOARD_CONFORMANCE_DIR"), "etcd-guarded")
	must(err)
	s := &server{folder: folder, place: "127.0.0.1:0"}
	must(s.start())
	good := check("passwords, roles, watches and locks", passwords(s))
	good = check("a restart, after which the client signs in again", restart(s)) && good
	good = check("certificates that are users", certificates) && good
	s.kill()
	os.RemoveAll(folder)
	if !good {
		os.Exit(1)
	}
}
