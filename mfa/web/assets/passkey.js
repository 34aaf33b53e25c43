// Passkeys (WebAuthn), also in browsers that cannot read and write their
// JSON yet.

export const supported = () => Boolean(window.PublicKeyCredential && navigator.credentials);

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));

const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const descriptors = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

// create makes a passkey; options are PublicKeyCredentialCreationOptionsJSON.
export async function create(options) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON
    ? PublicKeyCredential.parseCreationOptionsFromJSON(options)
    : {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: descriptors(options.excludeCredentials),
    };
  const credential = await navigator.credentials.create({ publicKey });
  if (credential.toJSON) {
    return credential.toJSON();
  }
  const { clientDataJSON, attestationObject, getTransports } = credential.response;
  return {
    ...common(credential),
    response: {
      clientDataJSON: text(clientDataJSON),
      attestationObject: text(attestationObject),
      transports: getTransports ? getTransports.call(credential.response) : [],
    },
  };
}

// get has a passkey sign; options are PublicKeyCredentialRequestOptionsJSON.
export async function get(options) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON
    ? PublicKeyCredential.parseRequestOptionsFromJSON(options)
    : { ...options, challenge: bytes(options.challenge), allowCredentials: descriptors(options.allowCredentials) };
  const credential = await navigator.credentials.get({ publicKey });
  if (credential.toJSON) {
    return credential.toJSON();
  }
  const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
  return {
    ...common(credential),
    response: {
      clientDataJSON: text(clientDataJSON),
      authenticatorData: text(authenticatorData),
      signature: text(signature),
      userHandle: userHandle ? text(userHandle) : undefined,
    },
  };
}

const common = (credential) => ({
  id: credential.id,
  rawId: text(credential.rawId),
  type: credential.type,
  authenticatorAttachment: credential.authenticatorAttachment || undefined,
  clientExtensionResults: credential.getClientExtensionResults(),
});

// reason is the text that says why the browser did not use a passkey.
export function reason({ name }) {
  switch (name) {
    case "NotAllowedError":
    case "AbortError":
      return "passkeyCancelled";
    case "InvalidStateError":
      return "passkeyTaken";
    case "SecurityError":
      return "passkeyElsewhere";
    case "NotSupportedError":
      return "passkeyUnsupported";
    default:
      return "failed";
  }
}
