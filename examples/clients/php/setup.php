<?php

// Begins the setup of an authenticator app and prints the answer.

declare(strict_types=1);

use GuzzleHttp\Client;
use GuzzleHttp\Exception\GuzzleException;
use GuzzleHttp\RequestOptions;

// Composer's autoloader where there is one, else that of Debian's package.
$composer = __DIR__ . '/vendor/autoload.php';
require is_file($composer) ? $composer : '/usr/share/php/GuzzleHttp/autoload.php';

function fail(string $message): never
{
    fwrite(STDERR, $message . PHP_EOL);
    exit(1);
}

$baseUrl = getenv('MFA_URL') ?: 'http://localhost:8080';
$token = getenv('MFA_TOKEN') ?: fail('MFA_TOKEN is not set: it holds your access token');

$client = new Client([
    'base_uri' => $baseUrl,
    RequestOptions::TIMEOUT => 10,
    RequestOptions::HTTP_ERRORS => false, // a refusal is read below, not thrown
]);

try {
    $response = $client->post('/mfa/setup', [
        RequestOptions::HEADERS => [
            'Accept' => 'application/json',
            'Authorization' => "Bearer $token",
        ],
        // This option also sets the Content-Type.
        RequestOptions::JSON => [
            'mfaType' => 'GOOGLE_AUTH',
            'email' => 'user@example.com',
            'deviceInfo' => ['name' => 'iPhone 12', 'type' => 'mobile'],
        ],
    ]);
} catch (GuzzleException $e) {
    fail('MFA setup failed: ' . $e->getMessage());
}

$status = $response->getStatusCode();
$answer = json_decode((string) $response->getBody(), true);
if ($status !== 200 || !is_array($answer)) {
    fail('MFA setup failed: ' . ($answer['error'] ?? "the server answered $status"));
}

echo json_encode($answer, JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES), PHP_EOL;
