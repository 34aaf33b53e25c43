package mail

import (
	"strings"
	"testing"
)

func TestTheBestMechanismThatIsSafeAuthenticates(t *testing.T) {
	for _, test := range []struct {
		mode    TLSMode
		offered []string
		want    string
	}{
		{StartTLS, []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"}, "SCRAM-SHA-256"},
		{StartTLS, []string{"CRAM-MD5", "LOGIN", "PLAIN"}, "PLAIN"},
		{ImplicitTLS, []string{"LOGIN"}, "LOGIN"},
		{ImplicitTLS, []string{"CRAM-MD5"}, "CRAM-MD5"},
		{NoTLS, []string{"PLAIN", "LOGIN", "CRAM-MD5"}, "CRAM-MD5"},
		{NoTLS, []string{"PLAIN", "SCRAM-SHA-256"}, "SCRAM-SHA-256"},
	} {
		t.Run(string(test.mode)+" "+strings.Join(test.offered, " "), func(t *testing.T) {
			server := startServer(t, serverOptions{mode: test.mode, mechanisms: test.offered})
			config := server.config(test.mode)
			config.Username, config.Password = testUser, testPassword
			if err := newSMTP(t, config).Send(t.Context(), testMessage()); err != nil {
				t.Fatal(err)
			}
			if got := server.only(t).mechanism; got != test.want {
				t.Errorf("authenticated by %q, want %q", got, test.want)
			}
		})
	}
}

func TestThePasswordNeverTravelsInClear(t *testing.T) {
	server := startServer(t, serverOptions{mode: NoTLS, mechanisms: []string{"PLAIN", "LOGIN"}})
	config := server.config(NoTLS)
	config.Username, config.Password = testUser, testPassword
	err := newSMTP(t, config).Send(t.Context(), testMessage())
	checkError(t, err, server.addr, "authenticating", "without TLS")
	if wire := server.wire.String(); strings.Contains(strings.ToUpper(wire), "AUTH PLAIN\r\n") || strings.Contains(wire, "\nAUTH ") {
		t.Errorf("authentication was begun:\n%s", wire)
	}
}

func TestAWrongPasswordIsRefusedWithoutRepeatingIt(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"} {
		t.Run(mechanism, func(t *testing.T) {
			server := startServer(t, serverOptions{mode: StartTLS, mechanisms: []string{mechanism}})
			config := server.config(StartTLS)
			config.Username, config.Password = testUser, testPassword+"x"
			err := newSMTP(t, config).Send(t.Context(), testMessage())
			checkError(t, err, server.addr, "authenticating", "535", "no luck with [...] for [...]")
		})
	}
}

func TestAServerWithoutAuthenticationIsNotSentMailWhenCredentialsAreSet(t *testing.T) {
	server := startServer(t, serverOptions{mode: StartTLS})
	config := server.config(StartTLS)
	config.Username, config.Password = testUser, testPassword
	err := newSMTP(t, config).Send(t.Context(), testMessage())
	checkError(t, err, server.addr, "authenticating", "does not offer authentication")
	if len(server.mail) != 0 {
		t.Error("mail was sent")
	}
}
