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
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"switchboard/conformance/etcd/own"
)

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

func passwords(s *own.Server) func(context.Context) error {
	return func(ctx context.Context) error {
		nobody, err := own.Dial(s.Place, "", "", nil)
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
		if _, err := own.Dial(s.Place, "u", "guess", nil); !errors.Is(err, rpctypes.ErrAuthFailed) {
			return fmt.Errorf("with a wrong password: %v", err)
		}
		user, err := own.Dial(s.Place, "u", "u", nil)
		if err != nil {
			return err
		}
		defer user.Close()
		return asUser(ctx, user)
	}
}

// The client signs in again by itself: its token was kept in memory only, and the user was not.
func restart(s *own.Server) func(context.Context) error {
	return func(ctx context.Context) error {
		user, err := own.Dial(s.Place, "u", "u", nil)
		if err != nil {
			return err
		}
		defer user.Close()
		if _, err := user.Put(ctx, "mine/b", "1"); err != nil {
			return err
		}
		s.Kill()
		if err := s.Start(); err != nil {
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
	own.Must(err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	own.Must(err)
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{Organization: []string{"conformance"}, CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	parent, signer := template, key
	if by == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
	} else {
		parent, signer = by.certificate, by.key
	}
	made, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	own.Must(err)
	return made, key
}

func newAuthority() *authority {
	made, key := signed(nil, "authority")
	certificate, err := x509.ParseCertificate(made)
	own.Must(err)
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
	own.Must(err)
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(folder, name)
		own.Must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600))
		return path
	}
	return fmt.Sprintf("etcd.tls={ certificate = %q, key = %q, client_ca = %q }", write("server.pem", "CERTIFICATE", made),
		write("server.key", "PRIVATE KEY", der), write("ca.pem", "CERTIFICATE", a.certificate.Raw))
}

func certificates(ctx context.Context) error {
	folder, err := os.MkdirTemp(os.Getenv("SWITCHBOARD_CONFORMANCE_DIR"), "etcd-tls")
	own.Must(err)
	defer os.RemoveAll(folder)
	ours := newAuthority()
	s := own.Started("--set", ours.server(folder))
	defer s.Remove()
	root, err := own.Dial(s.Place, "", "", ours.client("root"))
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
	user, err := own.Dial(s.Place, "", "", ours.client("u"))
	if err != nil {
		return err
	}
	defer user.Close()
	if err := asUser(ctx, user); err != nil {
		return fmt.Errorf("as user: %w", err)
	}
	short, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	stranger, err := own.Dial(s.Place, "", "", &tls.Config{RootCAs: ours.pool})
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
	s := own.Started()
	good := own.Check("passwords, roles, watches and locks", passwords(s))
	good = own.Check("a restart, after which the client signs in again", restart(s)) && good
	good = own.Check("certificates that are users", certificates) && good
	s.Remove()
	if !good {
		os.Exit(1)
	}
}
