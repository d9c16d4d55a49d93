// One installation of Assay in one resource group: identities, network, keys, database, storage, the function app, and
// what watches them. Modules depend on each other in that order; every role is given before what needs it is made.
// Only syntax that ARM knows as language version 1.0, because a managed application takes no other. Conditions stand on
// modules, never on resources: tools that check Bicep lose a resource's properties there.
//
// It is long because every check of what was typed stands here: a module's answer is known only when things are being made
// already, and language version 1.0 has neither imports nor functions of one's own.

targetScope = 'resourceGroup'

// ---- What a person decides ----

@description('Required. What every name begins with: 3 to 10 lower-case letters and digits, a letter first.')
@minLength(3)
@maxLength(10)
param namePrefix string

@description('Optional. The region of everything that has one.')
param location string = resourceGroup().location

@description('Required. The regions in which data may lie; location must be one of them.')
@minLength(1)
param allowedLocations array

@description('Required. commercial-noCUI: no CUI may come near this installation. gov-CUI: Azure Government, for providers whose clients handle CUI.')
@allowed(['commercial-noCUI', 'gov-CUI'])
param dataBoundary string

@description('Required. Whom alerts and cost warnings are mailed to.')
@minLength(6)
@maxLength(254)
param alertEmail string

@description('Optional. flex: Flex Consumption, from nothing to many instances. premium: an EP1 plan, where the region has no Flex.')
@allowed(['flex', 'premium'])
param hosting string = environment().name == 'AzureUSGovernment' ? 'premium' : 'flex'

@description('Optional. The application (client) id of the app registration by which people sign in; empty: nobody can sign in yet.')
@maxLength(36)
param entraClientId string = ''

@description('Optional. The directories whose people may sign in; the first is the provider\'s own.')
@minLength(1)
param entraDirectories array = [tenant().tenantId]

@description('Optional. The object id of the person who is an owner from the first sign-in on; empty: whoever has the app role Owner.')
@maxLength(36)
param ownerObjectId string = ''

@description('Optional. An authentication context of Conditional Access (c1 to c99) for changes of great effect; empty: a sign-in within ten minutes.')
@maxLength(3)
param authenticationContext string = ''

@description('Optional. How approvers are mailed: acs (Azure Communication Services, public cloud only), smtp (a mail server) or none.')
@allowed(['acs', 'smtp', 'none'])
param mail string = environment().name == 'AzureUSGovernment' ? 'none' : 'acs'

@description('Conditional. With mail smtp: the server.')
param smtpHost string = ''

@description('Conditional. With mail smtp: the port; TLS from the first byte on 465, STARTTLS on any other.')
@minValue(1)
@maxValue(65535)
param smtpPort int = 587

@description('Conditional. With mail smtp: the name to sign in there with; empty: none.')
param smtpUser string = ''

@description('Conditional. With mail smtp: the password of smtpUser.')
@secure()
param smtpPassword string = ''

@description('Conditional. With mail smtp, or acs with mailDomain: the address that mails are from.')
param mailFrom string = ''

@description('Optional. With mail acs: a domain of yours, verified at the mail service of this resource group (infra/README.md); empty: Azure\'s own, from which ten mails an hour go out.')
param mailDomain string = ''

@description('Optional. The address of a Teams workflow, to which cards are posted; empty: no cards.')
@secure()
param teamsWebhook string = ''

@description('Optional. The https address that people use, when a custom domain leads to the app; empty: the app\'s own.')
param publicUrl string = ''

@description('Optional. For who publishes: the id of the managed plan whose clients are billed by the month; empty: nothing is billed by use. Counts only where the Marketplace manages the resource group, and only in the public cloud.')
@maxLength(50)
param meteringPlan string = ''

@description('Optional. For who publishes: the id of the dimension of that plan.')
@maxLength(50)
param meteringDimension string = 'clients'

@description('Optional. For who publishes: how many clients a month the plan\'s own price includes.')
@minValue(0)
param meteringIncluded int = 0

// ---- Keys and data ----

@description('Optional. The name of a vault in this resource group that already has the encryption key; empty: a vault is made.')
@maxLength(24)
param ownVaultName string = ''

@description('Conditional. With ownVaultName: the key\'s address in that vault, without a version.')
param ownKeyUri string = ''

@description('Optional. Whether the database bills by use (serverless) or holds a throughput ready (autoscale).')
@allowed(['serverless', 'autoscale'])
param databaseCapacity string = 'serverless'

@description('Conditional. With autoscale: the most request units a second.')
@minValue(1000)
@maxValue(1000000)
param databaseThroughput int = 4000

@description('Optional. How many days back the database can be restored.')
@allowed([7, 30])
param backupDays int = 30

@description('Optional. For how many days the copies of checkpoints are held; 2557 is six years from the CMMC status date (32 CFR 170.16(c)(4), 170.17(c)(4)) and one for what was copied before it.')
@minValue(1)
@maxValue(146000)
param anchorDays int = 2557

@description('Optional. True once the policy of the anchors is locked: a locked one takes no change, also not the same again.')
param anchorsLocked bool = false

@description('Optional. How many days a client is switched off before its data keys can be destroyed.')
@minValue(1)
@maxValue(365)
param offboardingDays int = 30

@description('Optional. Storage redundancy: by default as zoneRedundant says; the geo-redundant ones keep a copy in the paired region, which allowedLocations must then name.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'

@description('Optional. Whether app and database stand in several availability zones; the region must have them, and what it costs stands in infra/README.md.')
param zoneRedundant bool = true

@description('Optional. After a restore: the account that was restored, in this resource group (infra/README.md); empty: the one that is made here.')
param databaseAccount string = ''

// ---- Network ----

@description('Optional. The virtual network\'s range, /24 or larger: its first /25 is the app\'s, the /26 after it the private endpoints\'.')
param networkPrefix string = '10.90.0.0/24'

@description('Optional. Whether private DNS zones are made here; false where the provider\'s hub has them.')
param createDnsZones bool = true

@description('Optional. Where zones are not made here: the id of the resource group that has the hub\'s, into which the names are written; empty: a policy of yours writes them.')
param hubZonesGroup string = ''

@description('Optional. The DNS servers of the network, such as a hub\'s resolver; none: Azure\'s own.')
param dnsServers array = []

@description('Optional. Public IPv4 addresses, or ranges up to /30, from which operators reach vault, database and storage themselves (assay doctor); none: only the app does.')
param operatorAddresses array = []

// ---- Size and watch ----

@description('Optional. Most instances at once: 40 to 1000 on Flex, 1 to 100 on Premium, where some regions have 20 on Linux.')
@minValue(1)
@maxValue(1000)
param maxInstances int = hosting == 'premium' ? 20 : 40

@description('Optional. On Flex: megabytes of memory of an instance.')
@allowed([512, 2048, 4096])
param instanceMemory int = 2048

@description('Optional. For how many days logs are kept.')
@minValue(30)
@maxValue(730)
param logDays int = 365

@description('Optional. The month\'s budget in the subscription\'s currency; -1: what fifty clients cost with this hosting, in zones or not, and a quarter more; 0: none is made, and one that is there stays as it is.')
@minValue(-1)
param monthlyBudget int = -1

@description('Optional. The first day of the month from which the budget counts: from the second month on the first deployment\'s, which infra/sign-in prints, because Azure lets nobody move it.')
param budgetStart string = utcNow('yyyy-MM-01')

@description('Optional. Whether people are told a month before a key or secret ends; false only where the region\'s Event Grid makes no alerts.')
param tellKeyExpiry bool = true

@description('Optional. Whether Azure\'s policies hold the resource group to allowedLocations; needs the right to assign policies.')
param assignPolicies bool = true

@description('Optional. Whether vaults, database and evidence are locked against deletion; needs the right to make locks.')
param createLocks bool = true

@description('Optional. When the first version of each key ends, in seconds since 1970. An installation that is deployed again keeps its keys.')
param keysExpire int = dateTimeToEpoch(dateTimeAdd(utcNow(), 'P2Y'))

@description('Optional. When the secrets given here end, in seconds since 1970.')
param secretsExpire int = dateTimeToEpoch(dateTimeAdd(utcNow(), 'P1Y'))

@description('Optional. Settings of Assay besides those of this template, such as ASSAY_WITNESS_URL.')
param moreSettings object = {}

@description('Optional. Changes every name: when a deleted installation\'s names are still held by the vault\'s protection (90 days).')
@maxLength(20)
param nameSalt string = ''

@description('Optional. Tags of all resources. Nothing of a client, nothing export-controlled: Azure shows tags to many.')
param tags object = {}

@description('Optional. Where people get assay.zip of this very release, with its SHA-256 beside it. Filled in by who publishes: on Premium it is put there by hand.')
param programUrl string = ''

@description('Optional. Where the offer\'s files lie. Set by the Marketplace; empty: the program is published by hand.')
param _artifactsLocation string = deployment().properties.templateLink.uri

@description('Optional. The token that lets them be read. Set by the Marketplace.')
@secure()
param _artifactsLocationSasToken string = ''

// ---- Refused before anything is made, in words ----

@description('Whether this is Azure Government.')
var isGovernment = environment().name == 'AzureUSGovernment'

@description('What names are made of, however large the letters.')
var nameSigns = 'abcdefghijklmnopqrstuvwxyz0123456789'

@description('The parts of the address of an own key: https:, nothing, host, keys, name.')
var ownKeyParts = split(ownKeyUri, '/')

@description('What was typed with a sign that it cannot have.')
var misspelt = map(
  filter(
    concat(
      [
        { name: 'namePrefix', typed: namePrefix, signs: nameSigns }
        { name: 'alertEmail', typed: alertEmail, signs: '${nameSigns}@._%+\'-' }
        { name: 'mailFrom', typed: mailFrom, signs: '${nameSigns}@._%+\'-' }
        { name: 'smtpHost', typed: smtpHost, signs: '${nameSigns}.-' }
        { name: 'entraClientId', typed: entraClientId, signs: '0123456789abcdef-' }
        { name: 'ownerObjectId', typed: ownerObjectId, signs: '0123456789abcdef-' }
        { name: 'databaseAccount', typed: databaseAccount, signs: '${nameSigns}-' }
        { name: 'ownVaultName', typed: ownVaultName, signs: '${nameSigns}-' }
        { name: 'ownKeyUri', typed: last(ownKeyParts), signs: '${nameSigns}-' }
      ],
      map(entraDirectories, id => { name: 'entraDirectories', typed: id, signs: '0123456789abcdef-' })
    ),
    entry =>
      !empty(filter(range(0, length(entry.typed)), i => !contains(entry.signs, toLower(substring(entry.typed, i, 1)))))
  ),
  entry => entry.name
)

@description('What is no mail address by what stands around its @.')
var wrongMails = filter(
  [alertEmail, mailFrom],
  typed =>
    length(split(typed, '@')) != 2 || !contains(last(split(typed, '@')), '.') || !empty(filter(
      ['@.', '.@', '..'],
      signs => contains('.${typed}.', signs)
    ))
)

@description('What is no id of Entra by the length of its parts.')
var wrongIds = filter(
  concat([entraClientId, ownerObjectId], entraDirectories),
  typed => join(map(split(typed, '-'), part => string(length(part))), ' ') != '8 4 4 4 12'
)

@description('The regions of Azure Government.')
var governmentRegions = filter(allowedLocations, region => startsWith(region, 'usgov') || startsWith(region, 'usdod'))

@description('The numbers of an address as texts, so that what is none is seen before it is reckoned with.')
var octets = map(range(0, 256), number => string(number))

@description('What was typed as range or address, an address being a range of one.')
var typedRanges = map(
  concat([networkPrefix], operatorAddresses, dnsServers),
  typed => contains(typed, '/') ? typed : '${typed}/32'
)

@description('Those that are written as ranges are.')
var writtenRanges = filter(
  typedRanges,
  typed =>
    length(split(typed, '/')) == 2 && length(split(typed, '.')) == 4 && contains(
      take(octets, 33),
      last(split(typed, '/'))
    ) && empty(filter(split(first(split(typed, '/')), '.'), octet => !contains(octets, octet)))
)

@description('Those that begin at their first address.')
var ranges = filter(writtenRanges, typed => parseCidr(typed).network == first(split(typed, '/')))

@description('Those of private networks (RFC 1918).')
var privateRanges = filter(
  ranges,
  typed =>
    !empty(filter(
      ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'],
      block =>
        parseCidr('${first(split(typed, '/'))}/${last(split(block, '/'))}').network == first(split(block, '/')) && int(last(split(
          typed,
          '/'
        ))) >= int(last(split(block, '/')))
    ))
)

@description('Whether networkPrefix is one of them, and large enough for a /25 and a /26.')
var isNetworkRange = contains(privateRanges, networkPrefix) && contains(
  take(octets, 25),
  last(split(networkPrefix, '/'))
)

@description('Whether ownVaultName can be the name of a vault.')
var isVaultName = length(ownVaultName) >= 3 && !contains(misspelt, 'ownVaultName') && !contains(
  '0123456789-',
  first(ownVaultName)
) && !endsWith(ownVaultName, '-') && !contains(ownVaultName, '--')

@description('What every key in the own vault begins with.')
var ownKeyStart = 'https://${ownVaultName}${environment().suffixes.keyvaultDns}/keys/'

@description('Whether ownKeyUri is the address of a key of that vault, without a version.')
var isOwnKey = length(ownKeyParts) == 5 && startsWith(toLower(ownKeyUri), toLower(ownKeyStart)) && !empty(last(ownKeyParts)) && !contains(
  misspelt,
  'ownKeyUri'
)

@description('What is wrong with what was typed, and what to type instead; all of it at once.')
var problems = filter(
  [
    !contains(misspelt, 'namePrefix') && namePrefix == toLower(namePrefix) && !contains('0123456789', first(namePrefix))
      ? ''
      : 'namePrefix: type 3 to 10 lower-case letters and digits, a letter first, such as assay.'
    contains(allowedLocations, location)
      ? ''
      : 'location: ${location} is not among allowedLocations (${join(allowedLocations, ', ')}); type one of these, by its short name such as eastus.'
    length(governmentRegions) == (isGovernment ? length(allowedLocations) : 0) && empty(filter(
        allowedLocations,
        region => region != toLower(replace(region, ' ', ''))
      ))
      ? ''
      : 'allowedLocations: type regions of this cloud by their short names, such as ${isGovernment ? 'usgovvirginia' : 'eastus2'}.'
    (dataBoundary == 'gov-CUI') == isGovernment
      ? ''
      : 'dataBoundary: type gov-CUI in Azure Government and nowhere else, commercial-noCUI in any other cloud.'
    hosting == 'flex' && isGovernment ? 'hosting: Azure Government has no Flex Consumption; type premium.' : ''
    contains(misspelt, 'alertEmail') || contains(wrongMails, alertEmail)
      ? 'alertEmail: type one mail address, such as alerts@example.net.'
      : ''
    empty(entraClientId) || (!contains(misspelt, 'entraClientId') && !contains(wrongIds, entraClientId))
      ? ''
      : 'entraClientId: type the application (client) id, such as 01234567-89ab-cdef-0123-456789abcdef, or leave it empty.'
    !contains(misspelt, 'entraDirectories') && empty(filter(entraDirectories, typed => contains(wrongIds, typed)))
      ? ''
      : 'entraDirectories: type directory (tenant) ids, such as 01234567-89ab-cdef-0123-456789abcdef, your own first.'
    empty(ownerObjectId) || (!contains(misspelt, 'ownerObjectId') && !contains(wrongIds, ownerObjectId))
      ? ''
      : 'ownerObjectId: type the object id of a person, such as 01234567-89ab-cdef-0123-456789abcdef, or leave it empty.'
    empty(authenticationContext) || contains(map(range(1, 99), number => 'c${number}'), authenticationContext)
      ? ''
      : 'authenticationContext: type c1 to c99, or leave it empty.'
    mail == 'acs' && isGovernment ? 'mail: acs is for the public cloud only in this release; type smtp or none.' : ''
    mail == 'smtp' && (!contains(smtpHost, '.') || contains(misspelt, 'smtpHost'))
      ? 'smtpHost: type the name of a mail server alone, such as smtp.example.net; its port is smtpPort.'
      : ''
    mail == 'smtp' && (contains(misspelt, 'mailFrom') || contains(wrongMails, mailFrom))
      ? 'mailFrom: type one mail address, such as assay@example.net.'
      : ''
    empty(mailDomain) || (mail == 'acs' && contains(mailDomain, '.') && endsWith(mailFrom, '@${mailDomain}') && !contains(
        misspelt,
        'mailFrom'
      ) && !contains(wrongMails, mailFrom))
      ? ''
      : 'mailDomain: with mail acs type the verified domain alone, such as example.net, and in mailFrom an address of it, such as assay@example.net; or leave it empty.'
    mail == 'smtp' && !empty(smtpUser) && empty(smtpPassword)
      ? 'smtpPassword: type the password of smtpUser, or leave smtpUser empty.'
      : ''
    empty(teamsWebhook) || (startsWith(teamsWebhook, 'https://') && !contains(teamsWebhook, ' '))
      ? ''
      : 'teamsWebhook: type the whole address of the workflow, which begins with https://, or leave it empty.'
    empty(publicUrl) || (startsWith(publicUrl, 'https://') && length(split(publicUrl, '/')) == 3 && contains(
        publicUrl,
        '.'
      ) && !contains(publicUrl, ' '))
      ? ''
      : 'publicUrl: type https:// and the name of the custom domain, such as https://assay.example.net, or leave it empty.'
    (empty(ownVaultName) && empty(ownKeyUri)) || isVaultName
      ? ''
      : 'ownVaultName: type the name of the vault alone, such as contoso-keys, or leave both it and ownKeyUri empty.'
    !isVaultName || isOwnKey
      ? ''
      : 'ownKeyUri: type the address of a key in the vault ownVaultName of this resource group, without a version: ${ownKeyStart}NAME.'
    empty(databaseAccount) || (length(databaseAccount) >= 3 && length(databaseAccount) <= 44 && !contains(
        misspelt,
        'databaseAccount'
      ) && databaseAccount == toLower(databaseAccount))
      ? ''
      : 'databaseAccount: type the name of the restored account alone, such as assay-restored, or leave it empty.'
    databaseThroughput % 1000 == 0 ? '' : 'databaseThroughput: type whole thousands, such as 4000.'
    !zoneRedundant || endsWith(storageSku, 'ZRS')
      ? ''
      : 'storageSku: type Standard_ZRS or Standard_GZRS, or turn zoneRedundant off: the others keep all copies in one data centre.'
    !endsWith(storageSku, 'GRS') && !endsWith(storageSku, 'GZRS') || length(allowedLocations) > 1
      ? ''
      : 'storageSku: ${storageSku} keeps copies in the paired region: type that one in allowedLocations too, or take Standard_ZRS or Standard_LRS.'
    (hosting == 'flex' ? maxInstances >= 40 : maxInstances <= 100)
      ? ''
      : 'maxInstances: type ${hosting == 'flex' ? '40 to 1000, which is what Flex Consumption takes' : '1 to 100, which is what Premium takes'}.'
    empty(hubZonesGroup) || (!createDnsZones && length(split(hubZonesGroup, '/')) == 5 && startsWith(
        hubZonesGroup,
        '/subscriptions/'
      ) && contains(toLower(hubZonesGroup), '/resourcegroups/') && !contains(hubZonesGroup, ' '))
      ? ''
      : 'hubZonesGroup: type the id of a resource group, /subscriptions/ID/resourceGroups/NAME, with createDnsZones false, or leave it empty.'
    empty(filter(dnsServers, typed => !contains(ranges, '${typed}/32')))
      ? ''
      : 'dnsServers: type the IPv4 addresses of DNS servers, such as 10.0.0.4.'
    isNetworkRange
      ? ''
      : 'networkPrefix: type a private range of /24 or larger by its first address, such as 10.90.0.0/24.'
    empty(filter(
        operatorAddresses,
        typed =>
          contains(typed, '/')
            ? !contains(ranges, typed) || contains(privateRanges, typed) || !contains(
                skip(take(octets, 31), 16),
                last(split(typed, '/'))
              )
            : !contains(ranges, '${typed}/32') || contains(privateRanges, '${typed}/32')
      ))
      ? ''
      : 'operatorAddresses: type public IPv4 addresses without a length, such as 203.0.113.7, or ranges of /16 to /30 by their first address, such as 203.0.113.0/28.'
    empty(filter(items(moreSettings), setting => !startsWith(setting.key, 'ASSAY_')))
      ? ''
      : 'moreSettings: type settings of Assay, whose names begin with ASSAY_; the others are the host\'s, and stand in the template.'
    join(map(split(budgetStart, '-'), part => string(length(part))), ' ') == '4 2 2' && endsWith(budgetStart, '-01')
      ? ''
      : 'budgetStart: type the first day of a month, such as 2027-01-01.'
  ],
  problem => !empty(problem)
)

@description('The managed application to which this resource group belongs; empty: to none.')
var managedApplication = resourceGroup().?managedBy ?? ''

@description('Whether clients are counted for the Marketplace, which knows usage of managed applications in the public cloud only.')
var isMetered = !empty(meteringPlan) && contains(managedApplication, '/providers/Microsoft.Solutions/applications/') && !isGovernment

@description('Tags of all, with the data boundary, so that nobody has to guess what may lie here.')
var allTags = union(tags, { 'assay-data-boundary': dataBoundary })

@description('The same for the plan, for which everything else waits: where something is wrong, nothing is made.')
var checkedTags = empty(problems) ? allTags : fail(join(problems, ' '))

@description('The range of the network; Azure reckons with it before anything else, and would have other words.')
var checkedPrefix = isNetworkRange ? networkPrefix : fail(join(problems, ' '))

@description('What is there already, of which Azure is asked before the plan is made: the own vault.')
var checkedVault = empty(problems) ? ownVaultName : fail(join(problems, ' '))

@description('The same, of the restored account.')
var checkedDatabase = empty(problems) ? databaseAccount : fail(join(problems, ' '))

@description('The same, of the hub\'s zones.')
var checkedZones = empty(problems) ? hubZonesGroup : fail(join(problems, ' '))

// ---- Names ----

@description('The same for the same resource group, and no one else\'s.')
var suffix = uniqueString(resourceGroup().id, nameSalt)

@description('The name of most things.')
var name = '${namePrefix}-${suffix}'

@description('The plan of the function app.')
var planName = '${name}-plan'

@description('The identity of Cosmos DB and Storage.')
var keysIdentityName = '${name}-keys'

@description('The identity of the function app.')
var appIdentityName = '${name}-app'

@description('The vault of the encryption keys.')
var encryptionVaultName = empty(ownVaultName) ? '${namePrefix}e${suffix}' : ownVaultName

@description('The vault of the app\'s own keys.')
var appVaultName = '${namePrefix}v${suffix}'

@description('The account of the database.')
var cosmosName = empty(databaseAccount) ? name : databaseAccount

@description('The three storage accounts: of the host, of the program, of the evidence.')
var storageNames = {
  host: '${namePrefix}h${suffix}'
  packages: '${namePrefix}p${suffix}'
  evidence: '${namePrefix}d${suffix}'
}

@description('The vault of the encryption keys, as an address.')
var encryptionVaultUri = 'https://${encryptionVaultName}${environment().suffixes.keyvaultDns}/'

@description('The name of each service\'s key.')
var encryptionKeyNames = empty(ownVaultName)
  ? { cosmos: 'cosmos', storage: 'storage' }
  : { cosmos: last(ownKeyParts), storage: last(ownKeyParts) }

@description('Whether vault, database and storage have a public side at all.')
var publicNetworkAccess = empty(operatorAddresses) ? 'Disabled' : 'Enabled'

@description('The month\'s budget. The first mail comes at 80 %, so each stands a quarter above the table in infra/README.md.')
var budgetAmount = monthlyBudget >= 0
  ? monthlyBudget
  : hosting == 'premium' ? (zoneRedundant ? 800 : 400) : (zoneRedundant ? 600 : 250)

@description('The queues; the host puts what failed five times into the one with -poison.')
var queueNames = ['intake', 'analyze', 'notify', 'execute', 'publish']

@description('The private DNS zone of each service, of this cloud.')
var zones = {
  blob: 'privatelink.blob.${environment().suffixes.storage}'
  queue: 'privatelink.queue.${environment().suffixes.storage}'
  table: 'privatelink.table.${environment().suffixes.storage}'
  vault: 'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'
  // The only names here that Azure does not tell a template.
  #disable-next-line no-hardcoded-env-urls
  Sql: isGovernment ? 'privatelink.documents.azure.us' : 'privatelink.documents.azure.com'
}

// ---- What it is made of ----

// Tells the Marketplace that this deployment is of this offer; modules are deployments too, so it must be named.
#disable-next-line no-deployments-resources
resource attribution 'Microsoft.Resources/deployments@2025-04-01' = {
  name: 'pid-5d0e0f2b-3a43-4f0e-9a52-7c1b1f6f9a44-partnercenter'
  properties: {
    mode: 'Incremental'
    template: {
      '$schema': 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#'
      contentVersion: '1.0.0.0'
      resources: []
    }
  }
}

// What a region may lack, and what is there already and may be named wrong, Azure is asked for first: everything else waits
// for the identities, and they for the plan.

module ownVault 'modules/own-vault.bicep' = if (!empty(ownVaultName)) {
  name: 'assay-own-vault'
  params: {
    vaultName: checkedVault
    keyName: last(ownKeyParts)
  }
}

module restoredDatabase 'modules/restored-database.bicep' = if (!empty(databaseAccount)) {
  name: 'assay-restored-database'
  params: {
    accountName: checkedDatabase
  }
}

module hubZones 'modules/hub-zones.bicep' = if (!empty(hubZonesGroup)) {
  name: 'assay-hub-zones'
  params: {
    group: checkedZones
    zones: map(items(zones), zone => zone.value)
  }
}

module flexPlan 'modules/plan-flex.bicep' = if (hosting == 'flex') {
  name: 'assay-plan-flex'
  params: {
    location: location
    name: planName
    zoneRedundant: zoneRedundant
    tags: checkedTags
  }
  dependsOn: [ownVault, restoredDatabase, hubZones]
}

module premiumPlan 'modules/plan-premium.bicep' = if (hosting == 'premium') {
  name: 'assay-plan-premium'
  params: {
    location: location
    name: planName
    // Bicep cannot see that problems refuses the rest.
    maxInstances: min(maxInstances, 100)
    zoneRedundant: zoneRedundant
    tags: checkedTags
  }
  dependsOn: [ownVault, restoredDatabase, hubZones]
}

module identity 'modules/identity.bicep' = {
  name: 'assay-identity'
  params: {
    location: location
    keysName: keysIdentityName
    appName: appIdentityName
    tags: allTags
  }
  dependsOn: [flexPlan, premiumPlan]
}

module monitor 'modules/monitor.bicep' = {
  name: 'assay-monitor'
  params: {
    location: location
    workspaceName: '${name}-logs'
    insightsName: '${name}-insights'
    retentionDays: logDays
    alertEmail: alertEmail
    identityName: appIdentityName
    principalId: identity.outputs.appPrincipalId
    tags: allTags
  }
}

module network 'modules/network.bicep' = {
  name: 'assay-network'
  params: {
    location: location
    name: '${name}-network'
    addressPrefix: checkedPrefix
    // Premium wants 100 addresses, of which Azure keeps five.
    appPrefix: cidrSubnet(checkedPrefix, 25, 0)
    endpointsPrefix: cidrSubnet(checkedPrefix, 26, 2)
    dnsServers: dnsServers
    delegation: hosting == 'flex' ? 'Microsoft.App/environments' : 'Microsoft.Web/serverFarms'
    workspaceId: monitor.outputs.workspaceId
    tags: allTags
  }
}

module dns 'modules/dns.bicep' = if (createDnsZones) {
  name: 'assay-dns'
  params: {
    zones: map(items(zones), zone => zone.value)
    networkId: network.outputs.networkId
    tags: allTags
  }
}

module encryptionVault 'modules/vault-encryption.bicep' = if (empty(ownVaultName)) {
  name: 'assay-vault-encryption'
  params: {
    location: location
    name: encryptionVaultName
    identityName: keysIdentityName
    principalId: identity.outputs.keysPrincipalId
    workspaceId: monitor.outputs.workspaceId
    tags: allTags
  }
}

module ownEncryptionKey 'modules/own-encryption-key.bicep' = if (!empty(ownVaultName)) {
  name: 'assay-own-encryption-key'
  params: {
    vaultName: encryptionVaultName
    keyName: last(ownKeyParts)
    identityName: keysIdentityName
    principalId: identity.outputs.keysPrincipalId
  }
}

module appVault 'modules/vault-app.bicep' = {
  name: 'assay-vault-app'
  params: {
    location: location
    name: appVaultName
    identityName: appIdentityName
    principalId: identity.outputs.appPrincipalId
    publicNetworkAccess: publicNetworkAccess
    operatorAddresses: operatorAddresses
    workspaceId: monitor.outputs.workspaceId
    tags: allTags
  }
}

// What ends is told only of what is made after these; so keys and secrets come after them.

module encryptionKeyExpiry 'modules/key-expiry.bicep' = if (tellKeyExpiry && empty(ownVaultName)) {
  name: 'assay-key-expiry-encryption'
  params: {
    location: location
    vaultName: encryptionVaultName
    peopleId: monitor.outputs.peopleId
    workspaceId: monitor.outputs.workspaceId
    tags: allTags
  }
  dependsOn: [encryptionVault]
}

module appKeyExpiry 'modules/key-expiry.bicep' = if (tellKeyExpiry) {
  name: 'assay-key-expiry-app'
  params: {
    location: location
    vaultName: appVaultName
    peopleId: monitor.outputs.peopleId
    workspaceId: monitor.outputs.workspaceId
    tags: allTags
  }
  dependsOn: [appVault]
}

module encryptionKeys 'modules/keys.bicep' = if (empty(ownVaultName)) {
  name: 'assay-keys-encryption'
  params: {
    vaultName: encryptionVaultName
    wrappingKeys: ['cosmos', 'storage']
    signingKeys: []
    expires: keysExpire
    tags: allTags
  }
  dependsOn: [encryptionVault, encryptionKeyExpiry]
}

module appKeys 'modules/keys.bicep' = {
  name: 'assay-keys-app'
  params: {
    vaultName: appVaultName
    wrappingKeys: ['deployment']
    signingKeys: ['links', 'receipts', 'checkpoints']
    expires: keysExpire
    tags: allTags
  }
  dependsOn: [appVault, appKeyExpiry]
}

module teamsSecret 'modules/secret.bicep' = if (!empty(teamsWebhook)) {
  name: 'assay-secret-teams'
  params: {
    vaultName: appVaultName
    name: 'teams'
    value: teamsWebhook
    expires: secretsExpire
  }
  dependsOn: [appVault, appKeyExpiry]
}

module smtpSecret 'modules/secret.bicep' = if (mail == 'smtp' && !empty(smtpUser)) {
  name: 'assay-secret-smtp'
  params: {
    vaultName: appVaultName
    name: 'smtp'
    value: smtpPassword
    expires: secretsExpire
  }
  dependsOn: [appVault, appKeyExpiry]
}

// What holds data, and takes longest to make, comes after most of what may still be refused.

module cosmos 'modules/cosmos.bicep' = {
  name: 'assay-cosmos'
  params: {
    location: location
    name: cosmosName
    keysIdentityId: resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', keysIdentityName)
    encryptionKeyUri: '${encryptionVaultUri}keys/${encryptionKeyNames.cosmos}'
    identityName: appIdentityName
    principalId: identity.outputs.appPrincipalId
    capacity: databaseCapacity
    maxThroughput: databaseThroughput
    backupDays: backupDays
    zoneRedundant: zoneRedundant
    publicNetworkAccess: publicNetworkAccess
    operatorAddresses: operatorAddresses
    workspaceId: monitor.outputs.workspaceId
    tags: allTags
  }
  dependsOn: [encryptionVault, encryptionKeys, ownEncryptionKey, appKeys, dns, communication]
}

module hostStorage 'modules/storage.bicep' = {
  name: 'assay-storage-host'
  params: {
    location: location
    name: storageNames.host
    sku: storageSku
    keysIdentityId: resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', keysIdentityName)
    encryptionVaultUri: encryptionVaultUri
    encryptionKeyName: encryptionKeyNames.storage
    containers: []
    queues: concat(queueNames, map(queueNames, queueName => '${queueName}-poison'))
    undeleteDays: 7
    publicNetworkAccess: publicNetworkAccess
    operatorAddresses: operatorAddresses
    workspaceId: monitor.outputs.workspaceId
    tags: allTags
  }
  dependsOn: [encryptionVault, encryptionKeys, ownEncryptionKey, appKeys, dns, communication]
}

module packagesStorage 'modules/storage.bicep' = {
  name: 'assay-storage-packages'
  params: {
    location: location
    name: storageNames.packages
    sku: storageSku
    keysIdentityId: resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', keysIdentityName)
    encryptionVaultUri: encryptionVaultUri
    encryptionKeyName: encryptionKeyNames.storage
    containers: ['packages']
    queues: []
    undeleteDays: 7
    publicNetworkAccess: publicNetworkAccess
    operatorAddresses: operatorAddresses
    workspaceId: monitor.outputs.workspaceId
    tags: allTags
  }
  dependsOn: [encryptionVault, encryptionKeys, ownEncryptionKey, appKeys, dns, communication]
}

module evidenceStorage 'modules/storage.bicep' = {
  name: 'assay-storage-evidence'
  params: {
    location: location
    name: storageNames.evidence
    sku: storageSku
    keysIdentityId: resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', keysIdentityName)
    encryptionVaultUri: encryptionVaultUri
    encryptionKeyName: encryptionKeyNames.storage
    containers: ['raw', 'mailbox', 'log']
    queues: []
    // Within the days that a certificate of destruction waits for.
    undeleteDays: 3
    publicNetworkAccess: publicNetworkAccess
    operatorAddresses: operatorAddresses
    workspaceId: monitor.outputs.workspaceId
    tags: allTags
  }
  dependsOn: [encryptionVault, encryptionKeys, ownEncryptionKey, appKeys, dns, communication]
}

module anchors 'modules/anchors.bicep' = if (!anchorsLocked) {
  name: 'assay-anchors'
  params: {
    accountName: storageNames.evidence
    days: anchorDays
  }
  dependsOn: [evidenceStorage]
}

module storageRights 'modules/storage-rights.bicep' = {
  name: 'assay-storage-rights'
  params: {
    hostAccountName: storageNames.host
    packagesAccountName: storageNames.packages
    evidenceAccountName: storageNames.evidence
    appWritesPackages: hosting == 'flex'
    containers: ['raw', 'mailbox', 'log']
    anchorsContainer: 'anchors'
    identityName: appIdentityName
    principalId: identity.outputs.appPrincipalId
  }
  dependsOn: [hostStorage, packagesStorage, evidenceStorage, anchors]
}

module endpoints 'modules/endpoint.bicep' = [
  for target in [
    { name: 'cosmos', service: 'Sql', id: resourceId('Microsoft.DocumentDB/databaseAccounts', cosmosName) }
    { name: 'vault', service: 'vault', id: resourceId('Microsoft.KeyVault/vaults', appVaultName) }
    { name: 'host-blob', service: 'blob', id: resourceId('Microsoft.Storage/storageAccounts', storageNames.host) }
    { name: 'host-queue', service: 'queue', id: resourceId('Microsoft.Storage/storageAccounts', storageNames.host) }
    { name: 'host-table', service: 'table', id: resourceId('Microsoft.Storage/storageAccounts', storageNames.host) }
    {
      name: 'packages-blob'
      service: 'blob'
      id: resourceId('Microsoft.Storage/storageAccounts', storageNames.packages)
    }
    {
      name: 'evidence-blob'
      service: 'blob'
      id: resourceId('Microsoft.Storage/storageAccounts', storageNames.evidence)
    }
  ]: {
    name: 'assay-endpoint-${target.name}'
    params: {
      location: location
      name: '${name}-${target.name}'
      subnetId: network.outputs.endpointsSubnetId
      targetId: target.id
      service: target.service
      createNames: createDnsZones || !empty(hubZonesGroup)
      zoneId: createDnsZones
        ? resourceId('Microsoft.Network/privateDnsZones', zones[target.service])
        : '${hubZonesGroup}/providers/Microsoft.Network/privateDnsZones/${zones[target.service]}'
      tags: allTags
    }
    dependsOn: [dns, cosmos, appVault, hostStorage, packagesStorage, evidenceStorage]
  }
]

module communication 'modules/mail.bicep' = if (mail == 'acs') {
  name: 'assay-mail'
  params: {
    name: name
    dataLocation: 'United States'
    ownDomain: mailDomain
    identityName: appIdentityName
    principalId: identity.outputs.appPrincipalId
    workspaceId: monitor.outputs.workspaceId
    tags: allTags
  }
}

module flex 'modules/app-flex.bicep' = if (hosting == 'flex') {
  name: 'assay-app-flex'
  params: {
    location: location
    name: name
    planId: resourceId('Microsoft.Web/serverfarms', planName)
    identityId: resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', appIdentityName)
    packagesUrl: '${packagesStorage.outputs.blobEndpoint}packages'
    subnetId: network.outputs.appSubnetId
    // Bicep cannot see that problems refuses the rest.
    maxInstances: max(maxInstances, 40)
    instanceMemory: instanceMemory
    zoneRedundant: zoneRedundant
    tags: allTags
  }
  dependsOn: [flexPlan, storageRights, endpoints]
}

module premium 'modules/app-premium.bicep' = if (hosting == 'premium') {
  name: 'assay-app-premium'
  params: {
    location: location
    name: name
    planId: resourceId('Microsoft.Web/serverfarms', planName)
    identityId: resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', appIdentityName)
    subnetId: network.outputs.appSubnetId
    zoneRedundant: zoneRedundant
    tags: allTags
  }
  dependsOn: [premiumPlan, storageRights, endpoints]
}

// ---- The app's settings: with every name that the program reads ----

@description('What the Functions host needs, wherever it runs: its storage and its telemetry, both without a key.')
var hostSettings = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identity.outputs.appClientId
  AzureWebJobsStorage__blobServiceUri: hostStorage.outputs.blobEndpoint
  AzureWebJobsStorage__queueServiceUri: hostStorage.outputs.queueEndpoint
  AzureWebJobsStorage__tableServiceUri: hostStorage.outputs.tableEndpoint
  APPLICATIONINSIGHTS_CONNECTION_STRING: monitor.outputs.connectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD;ClientId=${identity.outputs.appClientId}'
}

@description('On Premium besides: what runs, and where the program lies. Flex refuses these.')
var premiumSettings = {
  FUNCTIONS_EXTENSION_VERSION: '~4'
  FUNCTIONS_WORKER_RUNTIME: 'custom'
  WEBSITE_RUN_FROM_PACKAGE: '${packagesStorage.outputs.blobEndpoint}packages/assay.zip'
  WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID: resourceId(
    'Microsoft.ManagedIdentity/userAssignedIdentities',
    appIdentityName
  )
  WEBSITE_SKIP_CONTENTSHARE_VALIDATION: '1'
}

@description('Assay\'s own.')
var assaySettings = {
  ASSAY_STORE: 'azure'
  ASSAY_CLOUD: isGovernment ? 'government' : 'public'
  ASSAY_CREDENTIAL: 'managed-identity'
  ASSAY_IDENTITY: identity.outputs.appClientId
  ASSAY_COSMOS_URL: cosmos.outputs.endpoint
  ASSAY_COSMOS_DATABASE: 'assay'
  ASSAY_QUEUE_URL: hostStorage.outputs.queueEndpoint
  ASSAY_BLOB_URL: evidenceStorage.outputs.blobEndpoint
  ASSAY_DEPLOYMENT_KEY: appKeys.outputs.keyUri
  ASSAY_SIGN_IN: empty(entraClientId) ? 'none' : 'entra'
  ASSAY_ENTRA_CLIENT_ID: entraClientId
  ASSAY_ENTRA_TENANTS: join(entraDirectories, ',')
  ASSAY_ENTRA_CREDENTIAL: 'managed-identity'
  ASSAY_ENTRA_OWNER: ownerObjectId
  ASSAY_ENTRA_AUTH_CONTEXT: authenticationContext
  ASSAY_MAIL: mail
  ASSAY_ACS_URL: communication.?outputs.endpoint ?? ''
  ASSAY_MAIL_FROM: mail == 'acs' && empty(mailDomain) ? communication!.outputs.from : mailFrom
  ASSAY_SMTP_HOST: smtpHost
  ASSAY_SMTP_PORT: string(smtpPort)
  ASSAY_SMTP_TLS: smtpPort == 465 ? 'implicit' : 'starttls'
  ASSAY_SMTP_USER: smtpUser
  ASSAY_SMTP_PASSWORD: mail == 'smtp' && !empty(smtpUser) ? 'secret:smtp' : ''
  ASSAY_TEAMS: empty(teamsWebhook) ? '' : 'secret:teams'
  ASSAY_DATA_BOUNDARY: dataBoundary
  ASSAY_METERING_PLAN: isMetered ? meteringPlan : ''
  ASSAY_METERING_RESOURCE: isMetered ? managedApplication : ''
  ASSAY_METERING_DIMENSION: meteringDimension
  ASSAY_METERING_INCLUDED: string(meteringIncluded)
  ASSAY_REGION: location
  ASSAY_OFFBOARDING_DAYS: string(offboardingDays)
  ASSAY_BACKUP_DAYS: string(backupDays)
  ASSAY_VAULT_DAYS: '90'
}

module settings 'modules/app-settings.bicep' = {
  name: 'assay-app-settings'
  params: {
    appName: name
    hostSettings: hosting == 'premium' ? union(hostSettings, premiumSettings) : hostSettings
    assaySettings: union(assaySettings, moreSettings)
    publicUrl: publicUrl
    workspaceId: monitor.outputs.workspaceId
  }
  dependsOn: [flex, premium]
}

module package 'modules/package.bicep' = if (hosting == 'flex' && !empty(_artifactsLocation)) {
  name: 'assay-package'
  params: {
    appName: name
    // Azure evaluates this also where the module is left out, and takes no empty address.
    packageUri: uri(
      empty(_artifactsLocation) ? 'https://none.invalid/' : _artifactsLocation,
      'app/assay.zip${_artifactsLocationSasToken}'
    )
  }
  dependsOn: [settings]
}

// ---- What watches it ----

module alerts 'modules/alerts.bicep' = {
  name: 'assay-alerts'
  params: {
    location: location
    prefix: name
    insightsId: monitor.outputs.insightsId
    appId: resourceId('Microsoft.Web/sites', name)
    peopleId: monitor.outputs.peopleId
    tags: allTags
  }
  dependsOn: [settings]
}

module workbook 'modules/workbook.bicep' = {
  name: 'assay-workbook'
  params: {
    location: location
    insightsName: '${name}-insights'
    tags: allTags
  }
  dependsOn: [monitor]
}

module budget 'modules/budget.bicep' = if (budgetAmount > 0) {
  name: 'assay-budget'
  params: {
    amount: max(budgetAmount, 1)
    startDate: budgetStart
    email: alertEmail
  }
  dependsOn: [identity]
}

module policy 'modules/policy.bicep' = if (assignPolicies) {
  name: 'assay-policy'
  params: {
    location: location
    allowedLocations: allowedLocations
  }
  dependsOn: [identity]
}

module locks 'modules/locks.bicep' = if (createLocks) {
  name: 'assay-locks'
  params: {
    vaultNames: [encryptionVaultName, appVaultName]
    cosmosName: cosmosName
    evidenceName: storageNames.evidence
  }
  // Last: what is made after a lock could not be mended by taking it away again.
  dependsOn: [settings, cosmos, encryptionVault, appVault, anchors, storageRights]
}

// ---- What a person needs next ----

@description('The function app.')
output appName string = name

@description('Its host name.')
output hostName string = settings.outputs.hostName

@description('The address to register for sign-in.')
output redirectUri string = '${empty(publicUrl) ? 'https://${settings.outputs.hostName}' : publicUrl}/api/portal/signed-in'

@description('The principal of the app\'s identity: the subject of the federated credential.')
output appPrincipalId string = identity.outputs.appPrincipalId

@description('The vault of the app\'s own keys and secrets.')
output appVaultName string = appVaultName

@description('The vault of the keys that encrypt at rest.')
output encryptionVaultName string = encryptionVaultName

@description('The database.')
output cosmosName string = cosmosName

@description('The storage account of the Functions host, with the queues.')
output hostAccountName string = storageNames.host

@description('The storage account whose container anchors is to be locked.')
output evidenceAccountName string = storageNames.evidence

@description('The storage account that takes the program, on Premium.')
output packagesAccountName string = storageNames.packages

@description('Where the program is got, to put it there.')
output programUrl string = empty(programUrl) ? 'ask the publisher, or build it: infra/package' : programUrl
