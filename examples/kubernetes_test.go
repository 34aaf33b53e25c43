package examples_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/issuertest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// object is what the manifest's objects have, as far as it uses it: a field
// that is not here is a mistake.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Data       map[string]string
	Spec       struct {
		AccessModes []string `yaml:"accessModes"`
		Resources   resources
		Ports       []struct {
			Name       string
			Port       int
			TargetPort string `yaml:"targetPort"`
		}
		Replicas int
		Strategy struct{ Type string }
		Selector map[string]any
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
	}
}

type resources struct{ Requests, Limits map[string]string }

type pod struct {
	AutomountServiceAccountToken *bool `yaml:"automountServiceAccountToken"`
	SecurityContext              struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		RunAsUser      int                   `yaml:"runAsUser"`
		RunAsGroup     int                   `yaml:"runAsGroup"`
		FSGroup        int                   `yaml:"fsGroup"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers []container
	Volumes    []struct {
		Name      string
		ConfigMap struct{ Name string } `yaml:"configMap"`
		Secret    struct {
			SecretName  string `yaml:"secretName"`
			DefaultMode int    `yaml:"defaultMode"`
		}
		PersistentVolumeClaim struct {
			ClaimName string `yaml:"claimName"`
		} `yaml:"persistentVolumeClaim"`
		EmptyDir *struct{} `yaml:"emptyDir"`
	}
}

type container struct {
	Name, Image string
	Ports       []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	Env             []struct{ Name, Value string }
	ReadinessProbe  probe `yaml:"readinessProbe"`
	LivenessProbe   probe `yaml:"livenessProbe"`
	Resources       resources
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	HTTPGet       struct{ Path, Port string } `yaml:"httpGet"`
	TCPSocket     struct{ Port string }       `yaml:"tcpSocket"`
	PeriodSeconds int                         `yaml:"periodSeconds"`
}

// manifest returns the objects by kind.
func manifest(t *testing.T) map[string]object {
	t.Helper()
	objects := make(map[string]object)
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(read(t, "kubernetes/app.yaml"))))
	decoder.KnownFields(true)
	for {
		var o object
		err := decoder.Decode(&o)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		objects[o.Kind] = o
	}
}

func TestTheManifestHangsTogether(t *testing.T) {
	objects := manifest(t)
	deployment, caddyfile := objects["Deployment"], read(t, "kubernetes/Caddyfile")
	if got := objects["ConfigMap"].Data["Caddyfile"]; got != caddyfile {
		t.Errorf("the ConfigMap's Caddyfile is not that of the folder:\n%s", got)
	}
	if spec := deployment.Spec; spec.Replicas != 1 || spec.Strategy.Type != "Recreate" {
		t.Error("more than one pod could have the embedded database")
	}
	labels := deployment.Spec.Template.Metadata.Labels
	selected, _ := deployment.Spec.Selector["matchLabels"].(map[string]any)
	if selected["app"] != labels["app"] || objects["Service"].Spec.Selector["app"] != labels["app"] {
		t.Errorf("the labels %v are not those that are selected", labels)
	}

	pod := deployment.Spec.Template.Spec
	if s := pod.SecurityContext; !s.RunAsNonRoot || s.RunAsUser == 0 || s.FSGroup != s.RunAsGroup || s.SeccompProfile.Type != "RuntimeDefault" ||
		pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Errorf("the pod may do too much: %+v", s)
	}
	for _, c := range pod.Containers {
		s := c.SecurityContext
		if s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
			t.Errorf("the container %s may do too much: %+v", c.Name, s)
		}
	}
	caddy, app := pod.Containers[0], pod.Containers[1]
	if !caddy.SecurityContext.ReadOnlyRootFilesystem || caddy.Resources.Limits["memory"] == "" {
		t.Error("caddy can write where it need not, or take all memory")
	}
	port := caddy.Ports[0]
	if objects["Service"].Spec.Ports[0].TargetPort != port.Name || port.ContainerPort != 8080 || !strings.Contains(caddyfile, "\n:8080 {\n") ||
		caddy.ReadinessProbe.HTTPGet.Port != port.Name || caddy.LivenessProbe.TCPSocket.Port != port.Name {
		t.Error("the ports do not meet")
	}
	if len(app.Ports) != 0 || app.Env[0].Value != "127.0.0.1:3000" || !strings.Contains(caddyfile, "reverse_proxy 127.0.0.1:3000") {
		t.Error("the backend is reached around the edge, or not by it")
	}

	// Every path that is written or read is on a volume that there is.
	volumes := make(map[string]bool)
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
		switch v.Name {
		case "config":
			volumes[v.Name] = v.ConfigMap.Name == objects["ConfigMap"].Metadata.Name
		case "data":
			volumes[v.Name] = v.PersistentVolumeClaim.ClaimName == objects["PersistentVolumeClaim"].Metadata.Name
		case "secrets":
			volumes[v.Name] = v.Secret.SecretName == "app-mfa" && v.Secret.DefaultMode == 0o440
		}
	}
	mounts := make(map[string]bool) // whether it can be written
	for _, m := range caddy.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("the volume %s leads nowhere", m.Name)
		}
		mounts[m.MountPath] = !m.ReadOnly
	}
	for _, needed := range []struct {
		path    string
		written bool
	}{
		{"/etc/caddy/Caddyfile", false}, {"/data/mfa.db", true}, {"/run/caddy/admin.sock", true},
		{"/run/secrets/mfa/mfa.key", false}, {"/run/secrets/mfa/smtp-password", false}, {caddy.Env[0].Value, true}, {caddy.Env[1].Value, true},
	} {
		written, mounted := mounts[path.Dir(needed.path)]
		if !mounted || needed.written && !written {
			t.Errorf("%s is on no volume to suit", needed.path)
		}
		if strings.HasPrefix(needed.path, "/run") || strings.HasPrefix(needed.path, "/data") {
			replaced(t, caddyfile, needed.path, "")
		}
	}
	if !strings.Contains(read(t, "kubernetes/Dockerfile"), "/etc/caddy/Caddyfile") || !strings.Contains(read(t, "../README.md"), "\nxcaddy build --with github.com/caddymfa/caddy-mfa/caddymodule\n") ||
		!strings.Contains(read(t, "kubernetes/Dockerfile"), "xcaddy build --with github.com/caddymfa/caddy-mfa/caddymodule ") {
		t.Error("the image is not built as the README says, or does not find its Caddyfile")
	}
}

// TestTheSidecarRunsWithAKeyFromASecret makes the key as the README tells and
// asks what the probes ask.
func TestTheSidecarRunsWithAKeyFromASecret(t *testing.T) {
	testtool.Need(t, "bash")
	e, login := edgetest.New(t), issuertest.Start(t)
	e.Write("key.caddyfile", strings.Replace(read(t, "kubernetes/key.caddyfile"), "{\n", "{\n\tadmin {$ADMIN}\n", 1))
	_, indented, _ := strings.Cut(read(t, "kubernetes/README.md"), "   ```sh\n")
	makeKey, _, _ := strings.Cut(indented, "   ```")
	shell(t, e, replaced(t, makeKey, "caddy stop", "caddy stop --address "+e.Admin()))
	if entries, err := filepath.Glob(filepath.Join(e.Dir, "*")); err != nil || !slices.Contains(entries, filepath.Join(e.Dir, "mfa.key")) || slices.Contains(entries, filepath.Join(e.Dir, "throwaway")) {
		t.Fatalf("after making the key there are %v (%v)", entries, err)
	}

	key, err := os.ReadFile(filepath.Join(e.Dir, "mfa.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"mfa.key": string(key), "smtp-username": "u", "smtp-password": "p"} {
		e.Write("secrets/"+name, content)
	}
	secrets := filepath.Join(e.Dir, "secrets")
	if err := os.Chmod(secrets, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(secrets, 0o700) })
	admin := shortDir(t)
	caddyfile := replaced(t, read(t, "kubernetes/Caddyfile"),
		"/run/secrets/mfa", secrets, "/run/caddy", admin, "/data/", filepath.Join(e.Dir, "volume")+"/",
		"https://login.example.com", login.URL, "https://app.example.com", e.URL,
		":8080 {\n", ":{$PORT} {\n\tbind 127.0.0.1\n", "127.0.0.1:3000", e.Upstream.Address)
	wantValid(t, e, caddyfile)
	e.Start(caddyfile)
	for _, c := range manifest(t)["Deployment"].Spec.Template.Spec.Containers[:1] {
		r := e.Request("GET", c.ReadinessProbe.HTTPGet.Path, "", nil)
		r.Host = "10.0.0.7:8080" // a pod's address
		if answer := e.Send(r); answer.Status != 200 {
			t.Errorf("the probe is answered %d %s", answer.Status, answer.Body)
		}
	}
	token := login.Token(claims("alice", map[string]any{"iss": login.URL, "aud": e.URL}))
	wantShut(t, e, "/admin/users", token)
	_, full := enrol(t, e, token)
	wantOpen(t, e, "/admin/users", full)
	if out, stderr, err := e.Command("mfa", "users", "report", "--address", "unix/"+admin+"/admin.sock"); err != nil || !strings.Contains(out, "Enrolled") {
		t.Errorf("%v\n%s%s", err, out, stderr)
	}
}
