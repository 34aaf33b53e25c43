package bearer

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// parsePEM reads public keys (PKIX or PKCS#1) and certificates. Several
// may stand one after the other, for the time of a rotation. Of a
// certificate only the key counts, not its dates nor who signed it: the
// operator vouches for it by naming the file.
func parsePEM(data []byte) (*keySet, error) {
	set := &keySet{nameless: true}
	rest := data
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		material, err := parsePEMBlock(block)
		if err != nil {
			return nil, err
		}
		k, err := newKey("", "", material)
		if err != nil {
			return nil, err
		}
		set.keys = append(set.keys, k)
	}
	if len(set.keys) == 0 {
		return nil, errors.New("file holds no readable PEM block: it must have a PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE")
	}
	// The decoder passes over a damaged block without a word.
	if bytes.Count(data, []byte("-----BEGIN ")) != len(set.keys) {
		return nil, errors.New("file holds a PEM block that cannot be read: is it cut short?")
	}
	return set, nil
}

func parsePEMBlock(block *pem.Block) (any, error) {
	switch {
	case block.Type == "PUBLIC KEY":
		material, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parsing public key: %w", err)
		}
		return material, nil
	case block.Type == "RSA PUBLIC KEY":
		material, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parsing RSA public key: %w", err)
		}
		return material, nil
	case block.Type == "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parsing certificate: %w", err)
		}
		return certificate.PublicKey, nil
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("file holds a private key: only the public one belongs here, as openssl pkey -pubout writes it")
	default:
		return nil, fmt.Errorf("file holds a PEM block of type %q: it must be PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE", block.Type)
	}
}
