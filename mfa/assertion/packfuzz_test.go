package assertion

import "testing"

func FuzzUnpackingAnAccessTokenNeverPanicsAndUndoesPacking(f *testing.F) {
	f.Add("a.b.c", []byte{packed})
	f.Add("", pack("AAAA.BBBB.CCCC"))
	f.Fuzz(func(t *testing.T, token string, text []byte) {
		if unpacked, err := unpack(text); err == nil && len(unpacked) > 4*maxUnpacked {
			t.Errorf("%d bytes came out", len(unpacked))
		}
		for len(token) > 0 && len(token) < packFrom {
			token += token
		}
		if token != "" && token[0] == packed {
			return // which no token begins with
		}
		if got, err := unpack(pack(token)); err != nil || got != token {
			t.Errorf("%q became %q, %v", token, got, err)
		}
	})
}
