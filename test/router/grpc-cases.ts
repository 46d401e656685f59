/** Matches that take gRPC requests only, as `grpc` of a match becomes them, among others. */
import type { RouterCase } from './cases.ts';

export const GRPC_CASES: readonly RouterCase[] = [
  {
    about: 'a match of gRPC alone takes gRPC requests and leaves every other',
    routes: [
      {
        name: 'r',
        rules: [
          { name: 'page', matches: [{ path: '/shop.Cart', method: 'POST' }] },
          { name: 'service', matches: [{ path: '/shop.Cart', method: 'POST', grpc: true }] },
          { name: 'method', matches: [{ path: '= /shop.Cart/Add', method: 'POST', grpc: true }] },
          { name: 'pattern', matches: [{ path: '~ /(?:shop\\..+)/[^/]+', method: 'POST', grpc: true }] },
        ],
      },
    ],
    requests: [
      { line: 'POST /shop.Cart/Add', headers: ['content-type: application/grpc'], expect: 'method' },
      { line: 'POST /shop.Stock/Add', headers: ['content-type: application/grpc+proto'], expect: 'pattern' },
      {
        line: 'POST /shop.Cart',
        headers: ['Content-Type: application/grpc;charset=utf-8'],
        expect: 'service',
      },
      { line: 'POST /shop.Cart/Add', headers: ['content-type: application/grpc-web'], expect: 'page' },
      { line: 'POST /shop.Cart/Add', headers: ['content-type: application/grpcx'], expect: 'page' },
      { line: 'POST /shop.Cart/Add', headers: ['content-type: application/json'], expect: 'page' },
      { line: 'POST /shop.Cart/Add', expect: 'page' },
      { line: 'GET /shop.Cart/Add', headers: ['content-type: application/grpc'], expect: null },
      { line: 'POST /shop.Stock/Add', headers: ['content-type: application/grpc-web'], expect: null },
    ],
  },
];
