import { expect, test } from 'vitest';
import { clientAddress, isLoopback, trustedProxies } from './client-address.ts';

const none = trustedProxies([]);

test('addresses of this machine', () => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', 'localhost', '[::1]']) expect(isLoopback(address)).toBe(true);
  for (const address of ['10.0.0.1', '::2', '127.example.org', '', '0.0.0.0']) expect(isLoopback(address)).toBe(false);
});

test('a forwarded address is believed only from loopback or a trusted proxy', () => {
  const headers = { 'x-forwarded-for': '203.0.113.9, 10.0.0.1' };
  expect(clientAddress({ peer: '127.0.0.1', headers }, none)).toBe('203.0.113.9');
  expect(clientAddress({ peer: '10.0.0.1', headers }, none)).toBe('10.0.0.1');
  expect(clientAddress({ peer: '::ffff:10.0.0.1', headers }, trustedProxies(['10.0.0.0/8']))).toBe('203.0.113.9');
  expect(clientAddress({ peer: '127.0.0.1', headers: { 'x-real-ip': '203.0.113.9' } }, none)).toBe('203.0.113.9');
});

test('a forwarded loopback address or none at all is ignored', () => {
  for (const forwarded of ['127.0.0.1', '::1', 'unknown', '']) {
    expect(clientAddress({ peer: '10.0.0.1', headers: { 'x-forwarded-for': forwarded } }, trustedProxies(['10.0.0.1']))).toBe('10.0.0.1');
  }
  expect(clientAddress({ peer: undefined, headers: {} }, none)).toBe('');
});

test('ranges that are none are refused', () => {
  for (const range of ['10.0.0.0/33', 'example.org', '::1/129', '']) {
    expect(() => trustedProxies([range])).toThrow('security.trusted_proxy_ranges');
  }
});
