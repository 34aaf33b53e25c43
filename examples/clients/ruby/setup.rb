# frozen_string_literal: true

# Begins the setup of an authenticator app and prints the answer.

require 'json'
require 'rest-client'

base_url = ENV.fetch('MFA_URL', 'http://localhost:8080')
token = ENV['MFA_TOKEN'].to_s
abort 'MFA_TOKEN is not set: it holds your access token' if token.empty?

def error_text(response)
  JSON.parse(response.body).fetch('error')
rescue JSON::ParserError, KeyError, TypeError
  "the server answered #{response.code}"
end

begin
  # The headers are an option of their own: in RestClient.post, a hash of
  # `headers:` would be taken for the form to send.
  response = RestClient::Request.execute(
    method: :post,
    url: "#{base_url}/mfa/setup",
    headers: {
      content_type: :json,
      accept: :json,
      authorization: "Bearer #{token}"
    },
    payload: {
      mfaType: 'GOOGLE_AUTH',
      email: 'user@example.com',
      deviceInfo: { name: 'iPhone 12', type: 'mobile' }
    }.to_json,
    timeout: 10
  ) { |answer| answer } # with a block, a refusal is an answer, not an exception

  abort "MFA setup failed: #{error_text(response)}" unless response.code == 200
  puts JSON.pretty_generate(JSON.parse(response.body))
rescue RestClient::Exception, SystemCallError, SocketError => e
  abort "MFA setup failed: #{e.message}"
end
