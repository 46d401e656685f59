/** identity: where keys and certificates come from, and how they change. */
export {
  type CaOptions,
  type CertificateAuthority,
  createCa,
  type IssuedCertificate,
  issueCertificate,
  type LeafOptions,
} from './demo-ca.ts';
export type { SecretFault } from './pem.ts';
export { type RotationOptions, SecretRotation } from './rotation.ts';
export {
  type BundleRef,
  type CertificateRef,
  type InlineCertificate,
  type LoadedSecrets,
  loadSecrets,
  type SecretRefs,
  SecretStore,
} from './secret-store.ts';
export { type TicketKeyOptions, TicketKeyRing } from './ticket-keys.ts';
