package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/caddymfa/caddy-mfa/mfa/internal/newfile"
	"github.com/caddymfa/caddy-mfa/mfa/internal/regularfile"
)

// keyFile is the key file: two Tink keysets in Tink's own JSON form,
// readable by its tools once taken out.
type keyFile struct {
	Format  string          `json:"format"`
	Sealing json.RawMessage `json:"sealing"`
	Hashing json.RawMessage `json:"hashing"`
}

const keyFileFormat = "caddy-mfa-keys-1"

var (
	// ErrNoKeyFile is returned when there is no file at the path.
	ErrNoKeyFile = errors.New("no such key file")

	// ErrBadKeyFile is returned when the file at the path is not a whole
	// key file.
	ErrBadKeyFile = errors.New("not a caddy-mfa key file, or a damaged one")
)

// Load reads the key file at path. ErrNoKeyFile or ErrBadKeyFile is
// returned when there is none to be had.
func Load(path string) (*Keys, error) {
	r, err := read(path)
	if err != nil {
		return nil, err
	}
	keys, err := newKeys(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBadKeyFile, path, err)
	}
	return keys, nil
}

func read(path string) (ring, error) {
	content, err := regularfile.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ring{}, fmt.Errorf("%w: %s", ErrNoKeyFile, path)
	case errors.Is(err, regularfile.ErrNotRegular):
		return ring{}, fmt.Errorf("%w: %w", ErrBadKeyFile, err)
	case errors.Is(err, fs.ErrPermission):
		return ring{}, fmt.Errorf("reading key file: %w: let the user that the server runs as read it", err)
	case err != nil:
		return ring{}, fmt.Errorf("reading key file: %w", err)
	}
	var file keyFile
	if err := json.Unmarshal(content, &file); err != nil {
		// The decoder's own text may quote a byte of the key.
		return ring{}, fmt.Errorf("%w: %s: not JSON", ErrBadKeyFile, path)
	}
	if file.Format != keyFileFormat {
		return ring{}, fmt.Errorf("%w: %s: its format is not %q", ErrBadKeyFile, path, keyFileFormat)
	}
	r, err := file.parse()
	if err != nil {
		return ring{}, fmt.Errorf("%w: %s: %w", ErrBadKeyFile, path, err)
	}
	return r, nil
}

// LoadOrCreate reads the key file at path, and makes one with mode 0600
// when there is none. When several processes come at once, one makes it
// and all read the same.
func LoadOrCreate(path string) (keys *Keys, created bool, err error) {
	keys, err = Load(path)
	if !errors.Is(err, ErrNoKeyFile) {
		return keys, false, err
	}
	content, err := newKeyFile()
	if err != nil {
		return nil, false, err
	}
	err = newfile.Write(path, content)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, false, fmt.Errorf("making key file: %w", err)
	}
	created = err == nil
	keys, err = Load(path)
	return keys, created, err
}

func newKeyFile() ([]byte, error) {
	sealing, err := keyset.NewHandle(sealingTemplate())
	if err != nil {
		return nil, fmt.Errorf("making sealing key: %w", err)
	}
	hashing, err := keyset.NewHandle(hashingTemplate())
	if err != nil {
		return nil, fmt.Errorf("making hashing key: %w", err)
	}
	return ring{sealing: sealing, hashing: hashing}.format()
}

// parse reads both keysets. No error of it quotes a key.
func (f keyFile) parse() (r ring, err error) {
	if r.sealing, err = parseKeyset(f.Sealing); err != nil {
		return r, errors.New("sealing keyset does not parse")
	}
	if r.hashing, err = parseKeyset(f.Hashing); err != nil {
		return r, errors.New("hashing keyset does not parse")
	}
	return r, nil
}

// format writes a key file.
func (r ring) format() (content []byte, err error) {
	file := keyFile{Format: keyFileFormat}
	if file.Sealing, err = formatKeyset(r.sealing); err != nil {
		return nil, err
	}
	if file.Hashing, err = formatKeyset(r.hashing); err != nil {
		return nil, err
	}
	if content, err = json.MarshalIndent(file, "", "  "); err != nil {
		return nil, fmt.Errorf("writing keysets: %w", err)
	}
	return append(content, '\n'), nil
}

func parseKeyset(raw json.RawMessage) (*keyset.Handle, error) {
	return insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)))
}

func formatKeyset(h *keyset.Handle) (json.RawMessage, error) {
	var buf bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&buf)); err != nil {
		return nil, fmt.Errorf("writing keyset: %w", err)
	}
	return buf.Bytes(), nil
}
