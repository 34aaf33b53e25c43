package mailbox

// Fold returns the form by which an address names one person, whatever the
// case it is written in: A to Z become a to z. Other letters stay as they
// are, because some of them fold to ASCII ones (K, the sign of Kelvin, to k),
// and would make one person of two.
func Fold(address string) string {
	for i := range len(address) {
		if 'A' <= address[i] && address[i] <= 'Z' {
			folded := []byte(address)
			for i, c := range folded {
				if 'A' <= c && c <= 'Z' {
					folded[i] = c + 'a' - 'A'
				}
			}
			return string(folded)
		}
	}
	return address
}
