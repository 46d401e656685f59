/** What the tests of the PROXY protocol share. */

/** So many answers with a body that is a port have come. */
export function complete(text: string, answers: number): boolean {
  return (text.match(/\r\n\r\n[0-9]+/g) ?? []).length === answers && /\r\n\r\n[0-9]{5}$/.test(text);
}

export function tcpService(port: number, service: string): string {
  return `
listeners: [{ name: db, address: 127.0.0.1:0, protocol: tcp }]
tcpRoutes: [{ name: db, backendRefs: [{ name: a }] }]
services: [{ name: a, protocol: tcp, endpoints: [{ address: 127.0.0.1:${port} }], ${service} }]
`;
}
