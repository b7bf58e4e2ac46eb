import { expect, test } from 'vitest';
import { clientAddress, isLoopback, networkOf, trustedProxies } from './client-address.ts';

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
  for (const range of [
    '10.0.0.0/33',
    'example.org',
    '::1/129',
    '',
    '10.0.0.0/',
    '10.0.0.0/8/9',
    '10.0.0.0/1e1',
    '10.0.0.0/-1',
    '10.0.0.0/ 8',
    '10.0.0.0/x',
  ]) {
    expect(() => trustedProxies([range])).toThrow('security.trusted_proxy_ranges');
  }
});

test('limits count an IPv6 network of one owner as one', () => {
  for (const address of ['2001:db8:0:7::1', '2001:DB8::7:1:2:3:4', '2001:0db8:0000:0007:ffff:ffff:ffff:ffff', '2001:db8:0:7::1%eth0']) {
    expect(networkOf(address), address).toBe('2001:db8:0:7::/64');
  }
  expect(networkOf('::1')).toBe('0:0:0:0::/64');
  expect(networkOf('64:ff9b::192.0.2.1')).toBe('64:ff9b:0:0::/64');
  for (const address of ['10.0.0.1', '', 'unknown']) expect(networkOf(address)).toBe(address);
});
