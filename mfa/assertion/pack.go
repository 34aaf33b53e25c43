package assertion

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync"
)

const (
	// packFrom is from how many bytes on an access token is packed. Up to that
	// many the assertion fits into a header of 8 KiB as it is, which is where
	// many servers and proxies draw the line.
	packFrom = 4 << 10

	// packed is the first byte of an access token that is packed. No token
	// starts with it.
	packed = 1

	// maxUnpacked bounds what an access token is unpacked to, in bytes.
	maxUnpacked = 64 << 10
)

var errPacked = errors.New("it is not a packed access token")

// packers are flate.Writers, which take 800 kB each.
var packers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.DefaultCompression) // an error is for other levels
	return w
}}

// pack makes a long access token shorter, for the assertion to fit where the
// token does: base64, and then encryption, keep compression from finding what
// is the same in a hundred groups. The segments of a JWT are decoded, and
// compressed together. Others are left as they are.
func pack(token string) []byte {
	if len(token) < packFrom {
		return []byte(token)
	}
	var raw []byte
	segments := strings.Split(token, ".")
	for _, segment := range segments {
		decoded, err := decodeSegment(segment)
		if err != nil || encodeSegment(decoded) != segment {
			return []byte(token)
		}
		raw = binary.AppendUvarint(raw, uint64(len(decoded)))
		raw = append(raw, decoded...)
	}
	w := packers.Get().(*flate.Writer)
	defer packers.Put(w)
	out := bytes.NewBuffer([]byte{packed})
	w.Reset(out)
	_, _ = w.Write(raw) // a Buffer takes all
	_ = w.Close()
	if out.Len() >= len(token) {
		return []byte(token)
	}
	return out.Bytes()
}

// unpack is the inverse of pack.
func unpack(text []byte) (string, error) {
	if len(text) == 0 || text[0] != packed {
		return string(text), nil
	}
	raw, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(text[1:])), maxUnpacked+1))
	if err != nil || len(raw) > maxUnpacked {
		return "", errPacked
	}
	var segments []string
	for len(raw) > 0 {
		length, n := binary.Uvarint(raw)
		if n <= 0 || length > uint64(len(raw)-n) {
			return "", errPacked
		}
		raw = raw[n:]
		segments = append(segments, encodeSegment(raw[:length]))
		raw = raw[length:]
	}
	return strings.Join(segments, "."), nil
}
