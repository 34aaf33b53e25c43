// What differs from one deployment to the next.
export const issuer = "https://login.example.com";
export const clientID = "spa";
