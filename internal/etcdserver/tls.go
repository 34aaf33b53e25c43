package etcdserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
)

// TLS names the files that one side needs to show who it is and to know who
// others are. A cluster with them takes only clients that show a
// certificate, too.
type TLS struct{ CA, Cert, Key string }

// NewTLS makes an authority of its own in folder, and a certificate of it for
// both sides of connections within this machine.
func NewTLS(folder string) (*TLS, error) {
	files := &TLS{filepath.Join(folder, "ca.pem"), filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority in " + folder},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	own := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "caddy-mfa"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ownKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	for path, make := range map[string]func() (kind string, der []byte, err error){
		files.CA: func() (string, []byte, error) {
			der, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
			return "CERTIFICATE", der, err
		},
		files.Cert: func() (string, []byte, error) {
			der, err := x509.CreateCertificate(rand.Reader, own, authority, ownKey.Public(), authorityKey)
			return "CERTIFICATE", der, err
		},
		files.Key: func() (string, []byte, error) {
			der, err := x509.MarshalPKCS8PrivateKey(ownKey)
			return "PRIVATE KEY", der, err
		},
	} {
		kind, der, err := make()
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (f *TLS) config() (*tls.Config, error) {
	return transport.TLSInfo{TrustedCAFile: f.CA, CertFile: f.Cert, KeyFile: f.Key}.ClientConfig()
}
