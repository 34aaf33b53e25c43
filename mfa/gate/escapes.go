package gate

import "strings"

// unescape undoes percent-encoding once, where it is well formed, and the
// %uXXXX of JavaScript and IIS.
func unescape(s string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	var b strings.Builder
	for ; i >= 0; i = strings.IndexByte(s, '%') {
		b.WriteString(s[:i])
		r, size := escape(s[i:])
		switch {
		case size == 0:
			b.WriteByte('%')
			size = 1
		case size == len("%XX"):
			b.WriteByte(byte(r))
		default:
			b.WriteRune(r)
		}
		s = s[i+size:]
	}
	b.WriteString(s)
	return b.String()
}

// malformed returns where in s a percent sign stands that escapes nothing,
// -1 for nowhere.
func malformed(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		if _, size := escape(s[i:]); size == 0 {
			return i
		}
	}
	return -1
}

// escape reads the escape that s, which begins with a percent sign, begins
// with. It returns its length, 0 for none.
func escape(s string) (r rune, size int) {
	from, size := 1, len("%XX")
	if len(s) > 1 && lower(s[1]) == 'u' {
		from, size = 2, len("%uXXXX")
	}
	if len(s) < size {
		return 0, 0
	}
	for i := from; i < size; i++ {
		c := lower(s[i])
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		default:
			return 0, 0
		}
	}
	return r, size
}
